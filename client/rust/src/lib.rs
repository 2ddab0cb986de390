#![doc = include_str!("../README.md")]

mod client;
mod csr;
mod error;
#[cfg(test)]
mod fake;
mod packed;
mod page;
mod retry;
mod time;

mod activations;
mod caches;
mod examples;
mod explanations;
mod jobs;
mod models;
mod providers;
mod saes;
mod server;

pub use activations::{
    Cost, DecodeRequest, EncodeRequest, EncodeStream, Encoded, EncodedBatch, EncodedPrompt,
    MAX_DENSITY, Prompt, SaeActivations, Scale, SpecialTokens, StreamSummary,
};
pub use caches::{
    ActivationDtype, BuildCacheRequest, Cache, CacheState, CachedSae, Corpus, CorpusFormat,
    LatentStats, LatentStatsRequest, UploadedCorpus, Window, WindowsRequest,
};
pub use client::{Client, Options};
pub use csr::{Dense, SparseRows, TopLatent};
pub use error::{Error, Result, Violation};
pub use examples::{
    Centring, Example, ExampleMode, ExampleStream, ExamplesRequest, ExamplesSummary, LatentExamples,
};
pub use explanations::{
    Budget, Calibration, ExamplePlan, ExampleReason, ExplainRequest, Explainer, ExplainerKind,
    ExplainerSummary, Explanation, ExplanationFilter, ExportForm, ExportLines, ExportRequest,
    JobSummary, NonActivating, Provenance, Reduced, Score, ScoreExample, ScoreRequest, Scorer,
    ScorerKind, ScorerSummary, SearchMode, SearchRequest, SearchResults, TrainSampler,
};
pub use jobs::{ItemReason, Job, JobEvent, JobFilter, JobState, JobWatch, Progress, Spent};
pub use models::{Model, TokenSequence};
pub use page::Pages;
pub use providers::{
    CreateProviderRequest, Provider, ProviderCapabilities, ProviderKind, ProviderLimits,
    ProviderPrices,
};
pub use retry::RetryPolicy;
pub use saes::{Latent, LoadSaeRequest, Neighbour, Sae, SelfTest, TokenLogit};
pub use server::{Capabilities, ComponentHealth, Device, Limits, ServerInfo};
/// Status codes of gRPC.
pub use tonic::Code;
