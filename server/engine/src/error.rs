//! What the engine can answer instead of a result.

use latentd_domain::{HasReason, InvalidCsr, ModelId, ModelKind, Reason, SaeName};
use latentd_nn::{ComputeError, LoadError};

/// A request that the engine did not carry out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue holds as many works as it may.
    #[error("{limit} requests wait for the device already")]
    QueueFull {
        /// The limit.
        limit: usize,
    },
    /// Those that wait already would take too long.
    #[error(
        "the device has work for {wait_ms} ms, and the deadline leaves {left_ms} ms; nothing was computed"
    )]
    WaitTooLong {
        /// How long it would wait, by what works took lately.
        wait_ms: u64,
        /// Time to the deadline.
        left_ms: u64,
    },
    /// The deadline passed while the work waited.
    #[error("the deadline passed before the device was free")]
    DeadlineExceeded,
    /// The device thread is gone.
    #[error("the device stopped working; the server needs a restart")]
    EngineUnavailable,
    /// The engine was told to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// One sequence alone does not fit into the device's memory.
    #[error("the device has no memory left for a sequence of {tokens} tokens")]
    OutOfDeviceMemory {
        /// Tokens of the sequence.
        tokens: usize,
    },
    /// No such model is resident.
    #[error("no model `{model:#}` is loaded")]
    UnknownModel {
        /// The model.
        model: ModelId,
    },
    /// No such SAE is resident.
    #[error("no SAE `{sae:#}` is loaded")]
    UnknownSae {
        /// The SAE.
        sae: SaeName,
    },
    /// The SAE belongs to another model than the one that is to run.
    #[error("`{sae:#}` is not an SAE of `{model:#}`")]
    OtherModel {
        /// The SAE.
        sae: SaeName,
        /// The model.
        model: ModelId,
    },
    /// The model is not for what it is asked to do.
    #[error("`{model:#}` is not a {}", .needed.as_str())]
    WrongModelKind {
        /// The model.
        model: ModelId,
        /// The kind that the request needs.
        needed: ModelKind,
    },
    /// The id is taken by something with other content.
    #[error("`{name}` is loaded already, from other content or with other settings")]
    AlreadyExists {
        /// Name of the model or SAE.
        name: String,
    },
    /// SAEs of the model are resident.
    #[error("`{model:#}` is in use: {saes} of its SAEs are loaded")]
    ResourceInUse {
        /// The model.
        model: ModelId,
        /// Number of its SAEs.
        saes: usize,
    },
    /// There is nothing to compute.
    #[error("there is nothing to encode: no SAEs, no sequences, or a sequence without tokens")]
    EmptyBatch,
    /// A mask is not as long as its sequence.
    #[error("sequence {sequence} has {tokens} tokens and a mask of {mask}")]
    MaskLength {
        /// Index of the sequence.
        sequence: usize,
        /// Its tokens.
        tokens: usize,
        /// Entries of its mask.
        mask: usize,
    },
    /// A sequence is longer than the model's context.
    #[error("sequence {sequence} has {tokens} tokens; the model's context holds {limit}")]
    PromptTooLong {
        /// Index of the sequence.
        sequence: usize,
        /// Its tokens.
        tokens: usize,
        /// Longest sequence.
        limit: usize,
    },
    /// The first token to score has none before it, or lies beyond the sequence.
    #[error("sequence {sequence} of {tokens} tokens cannot be scored from token {from} on")]
    NothingToScore {
        /// Index of the sequence.
        sequence: usize,
        /// Its tokens.
        tokens: usize,
        /// The first token to score.
        from: usize,
    },
    /// Sparse activations whose arrays do not fit together.
    #[error(transparent)]
    InvalidActivations(#[from] InvalidCsr),
    /// A model or SAE cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A computation cannot be done.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// A panic was caught; its message is in the log.
    #[error("a defect of the server: {detail}")]
    Panic {
        /// What the panic said.
        detail: String,
    },
    /// The operating system gave no thread or no device.
    #[error("the engine cannot start: {0}")]
    Start(String),
}

impl HasReason for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::QueueFull { .. } | Self::WaitTooLong { .. } => Reason::QueueFull,
            Self::DeadlineExceeded => Reason::DeadlineExceeded,
            Self::EngineUnavailable => Reason::EngineUnavailable,
            Self::ShuttingDown => Reason::ShuttingDown,
            Self::OutOfDeviceMemory { .. } => Reason::OutOfDeviceMemory,
            Self::UnknownModel { .. } => Reason::UnknownModel,
            Self::UnknownSae { .. } => Reason::UnknownSae,
            Self::OtherModel { .. }
            | Self::MaskLength { .. }
            | Self::NothingToScore { .. }
            | Self::InvalidActivations(_) => Reason::InvalidRequest,
            Self::WrongModelKind { .. } => Reason::WrongModelKind,
            Self::AlreadyExists { .. } => Reason::AlreadyExists,
            Self::ResourceInUse { .. } => Reason::ResourceInUse,
            Self::EmptyBatch => Reason::EmptyBatch,
            Self::PromptTooLong { .. } => Reason::PromptTooLong,
            Self::Load(error) => error.reason(),
            Self::Compute(error) => error.reason(),
            Self::Panic { .. } | Self::Start(_) => Reason::Internal,
        }
    }
}
