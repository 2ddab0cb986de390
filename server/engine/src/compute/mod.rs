//! The seam between the engine and the numerics: what the threads need of a device, and nothing else.
//!
//! [`nn`] implements it for real models; the tests of this crate implement it with a device that blocks, panics and runs
//! out of memory on command.

mod nn;

use std::{path::Path, sync::Arc};

use latentd_domain::{DeviceKind, Dtype, HookPoint, ModelInfo, SaeInfo, Scale, SparseActivations};
use latentd_files::Interrupt;
use latentd_nn::{
    ComputeError, Extension, LoadError, PackedTokens, Past, Tensor,
    past::Answers,
    sae::{LatentLists, LatentReport, SaeOptions, Wanted},
    tokenizer::Tokenizer,
};

pub(crate) use nn::NnCompute;

/// What tells models apart: digests, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) weights: String,
    pub(crate) tokenizer: String,
}

/// A device that models are loaded onto.
pub(crate) trait Compute: Send + Sync {
    /// `cpu`, `cuda:0`.
    fn name(&self) -> String;

    /// What kind of device it is.
    fn kind(&self) -> DeviceKind;

    /// Threads that compute on the host, beside a GPU too.
    fn threads(&self) -> usize;

    /// Runs `work` on the threads that compute, and waits for it: one hop for a whole batch.
    fn on_device(&self, work: &mut (dyn FnMut() + Send));

    /// Reads what a model is, without its weights. Runs on the loader's thread.
    fn identify(&self, path: &Path, interrupt: &Interrupt) -> Result<Content, LoadError>;

    /// Reads a model from a Hugging Face folder or a GGUF file. Runs on the loader's thread.
    fn load_model(
        &self,
        path: &Path,
        dtype: Dtype,
        interrupt: &Interrupt,
    ) -> Result<Resident, LoadError>;
}

/// A model on the device, by what it is for.
pub(crate) enum Resident {
    Language(Arc<dyn ResidentModel>),
    Sentences(Arc<dyn ResidentEncoder>),
}

impl Resident {
    /// What is known of it.
    pub(crate) fn info(&self) -> &ModelInfo {
        match self {
            Self::Language(model) => model.info(),
            Self::Sentences(encoder) => encoder.info(),
        }
    }

    /// Bytes that it takes on the device now.
    pub(crate) fn bytes(&self) -> u64 {
        let traced = match self {
            Self::Language(model) => model.traced_bytes(),
            Self::Sentences(_) => 0,
        };
        self.info().resident_bytes + traced
    }

    /// Its tokenizer, usable on any thread.
    pub(crate) fn tokenizer(&self) -> &Arc<Tokenizer> {
        match self {
            Self::Language(model) => model.tokenizer(),
            Self::Sentences(encoder) => encoder.tokenizer(),
        }
    }
}

/// A sentence encoder on the device.
pub(crate) trait ResidentEncoder: Send + Sync {
    /// What is known of it.
    fn info(&self) -> &ModelInfo;

    /// Its tokenizer, usable on any thread.
    fn tokenizer(&self) -> &Arc<Tokenizer>;

    /// The tokens of a text as `embed` wants them, cut to the encoder's length. Runs on any thread.
    fn tokenize(&self, text: &str) -> Result<Vec<u32>, ComputeError>;

    /// One vector for each sequence, `[sequences, d_model]`, flattened.
    fn embed(&self, tokens: &PackedTokens) -> Result<Vec<f32>, ComputeError>;
}

/// A language model on the device.
pub(crate) trait ResidentModel: Send + Sync {
    /// What is known of it.
    fn info(&self) -> &ModelInfo;

    /// Its tokenizer, usable on any thread.
    fn tokenizer(&self) -> &Arc<Tokenizer>;

    /// Reads an SAE of this model, which keeps the model. Runs on the loader's thread.
    fn load_sae(
        self: Arc<Self>,
        path: &Path,
        options: &SaeOptions,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn ResidentSae>, LoadError>;

    /// One forward pass, to the deepest of `hook_points`; returns `[tokens, width]` for each, in their order.
    fn forward(
        &self,
        tokens: &PackedTokens,
        hook_points: &[HookPoint],
    ) -> Result<Vec<Tensor<2>>, ComputeError>;

    /// An empty past with room for `capacity` tokens of a sequence.
    fn past(&self, capacity: usize) -> Past;

    /// Bytes on the device of the copy that gradients go through; stand-ins have none.
    fn traced_bytes(&self) -> u64 {
        0
    }

    /// Adds new tokens to sequences and answers what is asked behind them. Changes no past if it fails.
    fn extend(&self, extensions: &mut [Extension<'_>]) -> Result<Vec<Answers>, ComputeError>;
}

/// An SAE on the device.
pub(crate) trait ResidentSae: Send + Sync {
    /// What is known of it; complete once the self-test ran.
    fn info(&self) -> &SaeInfo;

    /// Runs the test at load and keeps its result in the info.
    fn self_test(&mut self) -> Result<(), LoadError>;

    /// Encodes those rows of `input`, `[rows, d_in]`, for which `mask` is true; the other rows come out empty.
    fn encode(
        &self,
        input: &Tensor<2>,
        mask: &[bool],
        wanted: Wanted<'_>,
    ) -> Result<SparseActivations, ComputeError>;

    /// Reconstructs the rows, `[rows, d_in]`, flattened.
    fn decode(&self, rows: &SparseActivations, scale: Scale) -> Result<Vec<f32>, ComputeError>;

    /// Describes one latent, with at most so many entries as `lists` says.
    fn latent(&self, latent: u32, lists: LatentLists) -> Result<LatentReport, ComputeError>;
}
