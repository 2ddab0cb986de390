//! The vocabulary of latentd: names, hook points, selections, sparse activations, examples, job specs and error reasons.
//!
//! Everything here is pure: no I/O, no clock, no async, no burn, no gRPC. Each word of the glossary in
//! `server/ARCHITECTURE.md` that is a type is defined in one file of this crate and nowhere else.

mod activations;
pub mod autointerp;
mod cache_spec;
mod describe;
mod example;
mod hook;
mod name;
mod reason;
mod selection;
mod stats;
mod tokens;

pub use activations::{InvalidCsr, SparseActivations};
pub use cache_spec::{ActivationDtype, BuildCacheSpec, Corpus, CorpusFormat};
pub use describe::{
    DeviceKind, Dtype, ModelInfo, ModelKind, Normalisation, SaeArchitecture, SaeInfo, SelfTest,
};
pub use example::{Centring, Example, ExampleMode, ExampleQuery, LatentExamples};
pub use hook::{HookPoint, HookPointError, Site};
pub use name::{
    CacheId, CorpusId, ExplanationId, IdError, JobId, LatentName, ModelId, ProviderId, SaeName,
    ScoreId,
};
pub use reason::{HasReason, Reason};
pub use selection::{Scale, Selection, SpecialTokens};
pub use stats::{HISTOGRAM_BUCKETS, LatentStats, histogram_bucket};
pub use tokens::{TokenSequence, missing_bos};
