//! The words of auto-interpretation: what a job explains and scores, the examples that are shown, providers and what they cost.

mod example_id;
mod plan;
mod provider;
mod spec;

pub use example_id::{ExampleId, InvalidExampleId};
pub use plan::{ExamplePlan, NonActivatingSource, TrainSampler};
pub use provider::{Capabilities, Limits, Prices, ProviderKind, Usage};
pub use spec::{
    AutointerpSpec, Budget, Calibration, ExplainerKind, ExplainerSpec, Latents, ScorerKind,
    ScorerSpec,
};
