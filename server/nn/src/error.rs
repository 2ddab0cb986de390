//! What can go wrong in this crate: reading weights and tokenizers ([`LoadError`]) and computing ([`ComputeError`]).
//!
//! Variants carry the path and the tensor's name as data; clients see the reason and the message, logs see the source.

use std::{
    io,
    path::{Path, PathBuf},
};

use latentd_domain::{HasReason, HookPointError, Reason};

/// A model, SAE or tokenizer that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The path does not exist, is of the wrong kind, or cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    PathNotReadable {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nobody waits for it any more, or its deadline has passed.
    #[error("{path} was not read to its end: nobody waits for it any more", path = .path.display())]
    Interrupted {
        /// The path.
        path: PathBuf,
    },
    /// A safetensors file, or the index of several, is truncated or malformed.
    #[error("{path} is not a sound safetensors file: {detail}", path = .path.display())]
    MalformedSafetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A GGUF file is truncated, malformed, or uses a quantization that is not supported.
    #[error("{path} is not a GGUF file that can be read: {detail}", path = .path.display())]
    MalformedGguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// `config.json`, `cfg.json` or the metadata of a GGUF file lacks a field, or a field has an impossible value.
    #[error("the configuration {path} cannot be used: {detail}", path = .path.display())]
    MalformedConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// `tokenizer.json`, or the tokenizer of a GGUF file, is malformed.
    #[error("the tokenizer {path} cannot be used: {detail}", path = .path.display())]
    MalformedTokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Tensors that the architecture needs are not in the files; all of them are listed.
    #[error("{path} lacks {} of the tensors that it should have: {}", .tensors.len(), listed(.tensors), path = .path.display())]
    MissingTensor {
        /// The folder or file.
        path: PathBuf,
        /// The names of all that are missing.
        tensors: Vec<String>,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{path}: {tensor} has the shape {} where {} is needed", shape(.found), shape(.expected), path = .path.display())]
    ShapeMismatch {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that the configuration implies.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// Weights hold NaN or infinity.
    #[error("{path}: {tensor} holds {value} at element {index}", path = .path.display())]
    NonFiniteWeights {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The first such element, counted in row-major order.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// The model's architecture, or a variant of it that the configuration asks for, is not one that this crate runs.
    #[error("{path}: {detail}", path = .path.display())]
    UnsupportedModel {
        /// The folder or file.
        path: PathBuf,
        /// What is not supported, and what is.
        detail: String,
    },
    /// The SAE's architecture, activation function or normalisation is not one that this crate knows.
    #[error("{path}: {detail}", path = .path.display())]
    UnsupportedSae {
        /// The folder.
        path: PathBuf,
        /// What is not supported, and what is.
        detail: String,
    },
    /// The SAE normalises by a dataset's average norm, and neither the file nor the caller gives the factor.
    #[error(
        "{path} normalises its input by `expected_average_only_in` and the factor is not given",
        path = .path.display()
    )]
    MissingNormFactor {
        /// The folder.
        path: PathBuf,
    },
    /// The SAE's hook point is not one that the model has.
    #[error("{path}: {source}", path = .path.display())]
    UnknownHookPoint {
        /// The folder.
        path: PathBuf,
        /// Why the hook point cannot be used.
        source: HookPointError,
    },
    /// The SAE failed the test at load.
    #[error("{path} failed the test at load: {detail}", path = .path.display())]
    SelfTestFailed {
        /// The folder.
        path: PathBuf,
        /// What was measured against what was declared.
        detail: String,
    },
    /// The device could not hold or compute what loading needs.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

impl LoadError {
    /// The error for a file at `path` that could not be read; `malformed` makes the one for content that is at fault.
    pub(crate) fn of_file(
        path: &Path,
        error: latentd_files::Error,
        malformed: impl FnOnce(PathBuf, String) -> Self,
    ) -> Self {
        let path = path.to_owned();
        if error.is_of_content() {
            return malformed(path, error.to_string());
        }
        let source = error.into();
        Self::PathNotReadable { path, source }
    }

    /// The error for a file at `path` that could not be opened.
    pub(crate) fn unreadable(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::PathNotReadable {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

impl HasReason for LoadError {
    fn reason(&self) -> Reason {
        match self {
            Self::PathNotReadable { .. } => Reason::PathNotReadable,
            Self::Interrupted { .. } => Reason::Cancelled,
            Self::MalformedSafetensors { .. } => Reason::MalformedSafetensors,
            Self::MalformedGguf { .. } => Reason::MalformedGguf,
            Self::MalformedConfig { .. } => Reason::MalformedConfig,
            Self::MalformedTokenizer { .. } => Reason::MalformedTokenizer,
            Self::MissingTensor { .. } => Reason::MissingTensor,
            Self::ShapeMismatch { .. } => Reason::ShapeMismatch,
            Self::NonFiniteWeights { .. } => Reason::NonFiniteWeights,
            Self::UnsupportedModel { .. } => Reason::UnsupportedModel,
            Self::UnsupportedSae { .. } => Reason::UnsupportedSae,
            Self::MissingNormFactor { .. } => Reason::MissingNormFactor,
            Self::UnknownHookPoint { .. } => Reason::UnknownHookPoint,
            Self::SelfTestFailed { .. } => Reason::SelfTestFailed,
            Self::Compute(error) => error.reason(),
        }
    }
}

/// A forward pass, an encode or a decode that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The device has no memory left.
    #[error("the device has no memory left: {detail}")]
    OutOfDeviceMemory {
        /// What the device said.
        detail: String,
    },
    /// The hook point lies outside the model.
    #[error(transparent)]
    HookPoint(#[from] HookPointError),
    /// A token id is not below the vocabulary's size.
    #[error("token id {id} is not below the model's vocabulary of {vocab}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Number of token ids.
        vocab: usize,
    },
    /// A sequence is longer than the model's context.
    #[error("a sequence of {tokens} tokens is longer than the model's context of {context_length}")]
    PromptTooLong {
        /// Its length.
        tokens: usize,
        /// Longest sequence.
        context_length: usize,
    },
    /// A latent index is not below `d_sae`.
    #[error("latent {latent} is not below the SAE's {d_sae}")]
    UnknownLatent {
        /// The index.
        latent: u32,
        /// Number of latents.
        d_sae: usize,
    },
    /// More activations than the caller has room for.
    #[error("more than {limit} activations, which is all that there is room for")]
    TooManyActivations {
        /// Most activations that the caller takes.
        limit: usize,
    },
    /// The tokenizer cannot encode a text: its definition has a hole, such as a missing unknown token.
    #[error("the tokenizer cannot encode the text: {detail}")]
    NotTokenizable {
        /// What the tokenizer said.
        detail: String,
    },
    /// A text that the tokenizer would need too much memory for, since it has no place where it can be cut.
    #[error(
        "a piece of text of {bytes} bytes cannot be cut before it is tokenized, and at most {limit} bytes are tokenized at once"
    )]
    TextTooLong {
        /// Its length.
        bytes: usize,
        /// Most bytes that are tokenized at once.
        limit: usize,
    },
    /// Nobody waits for the result any more, or its deadline has passed.
    #[error("interrupted before it was done")]
    Interrupted,
    /// The device failed, or an input breaks a promise that the caller made.
    #[error("the computation failed: {detail}")]
    Failed {
        /// What is wrong.
        detail: String,
    },
}

impl HasReason for ComputeError {
    fn reason(&self) -> Reason {
        match self {
            Self::OutOfDeviceMemory { .. } => Reason::OutOfDeviceMemory,
            Self::HookPoint(_) => Reason::UnknownHookPoint,
            Self::UnknownToken { .. } => Reason::UnknownToken,
            Self::PromptTooLong { .. } | Self::TextTooLong { .. } => Reason::PromptTooLong,
            Self::UnknownLatent { .. } => Reason::UnknownLatent,
            Self::TooManyActivations { .. } => Reason::BatchTooLarge,
            Self::NotTokenizable { .. } => Reason::MalformedTokenizer,
            Self::Interrupted => Reason::Cancelled,
            Self::Failed { .. } => Reason::Internal,
        }
    }
}

/// A tensor's shape in words: `576 × 4608`.
pub(crate) fn shape<N: std::fmt::Display>(dimensions: &[N]) -> String {
    if dimensions.is_empty() {
        return "of one number".to_owned();
    }
    let dimensions: Vec<String> = dimensions.iter().map(N::to_string).collect();
    dimensions.join(" × ")
}

/// The first few names, and how many more there are: a message stays readable when a whole model is missing.
pub(crate) fn listed(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 12;
    let shown = names
        .iter()
        .take(SHOWN)
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
