//! The words of auto-interpretation: what a job explains and scores, the examples that are shown, providers and what they cost.

mod example_id;
mod plan;
mod provider;
mod refused;
mod spec;

pub use example_id::{ExampleId, InvalidExampleId};
pub use plan::{ExamplePlan, NonActivatingSource, TrainSampler};
pub use provider::{
    Capabilities, Limits, MAX_TOKENS, MAX_TOKENS_LOCAL, Prices, ProviderKind, Usage,
};
pub use refused::{Field, Refused};
pub use spec::{
    AutointerpSpec, Budget, Calibration, ExplainerKind, ExplainerSpec, Latents, ScorerKind,
    ScorerSpec,
};
