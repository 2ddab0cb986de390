//! What an auto-interpretation job does: the parsed and complete form of ExplainLatents and ScoreExplanations, as a job keeps it.

use serde::{Deserialize, Serialize};

use super::{ExamplePlan, TrainSampler};
use crate::{CacheId, ExplanationId, ModelId, ProviderId, SaeName};

/// Which latents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latents {
    /// From the first up to but not with the second.
    Range(u32, u32),
    /// These, in this order, each once.
    List(Vec<u32>),
}

impl Latents {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Range(start, end) => end.saturating_sub(*start) as usize,
            Self::List(list) => list.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at `index`.
    pub fn get(&self, index: usize) -> Option<u32> {
        match self {
            Self::Range(start, _) => (index < self.len()).then(|| start + index as u32),
            Self::List(list) => list.get(index).copied(),
        }
    }
}

/// What an explainer shows to its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplainerKind {
    /// Examples with the strong tokens marked and their activations.
    Default,
    /// Examples with only the strongest token marked.
    SingleToken,
    /// Examples beside ones on which the latent does not fire.
    Contrastive,
    /// Examples, and the tokens that the latent promotes.
    MaxActLogits,
    /// The words at the peaks of the examples, with their share, and the tokens that the latent promotes. Asks nobody.
    TopTokens,
    /// The words at the peaks of the examples, for a model that continues text to name their theme.
    Completion,
    /// Explanations that exist are used.
    None,
    /// The explanation of another latent.
    RandomBaseline,
}

impl ExplainerKind {
    /// Every kind.
    pub const ALL: [ExplainerKind; 8] = [
        Self::Default,
        Self::SingleToken,
        Self::Contrastive,
        Self::MaxActLogits,
        Self::TopTokens,
        Self::Completion,
        Self::None,
        Self::RandomBaseline,
    ];

    /// The name, in snake_case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::SingleToken => "single_token",
            Self::Contrastive => "contrastive",
            Self::MaxActLogits => "max_act_logits",
            Self::TopTokens => "top_tokens",
            Self::Completion => "completion",
            Self::None => "none",
            Self::RandomBaseline => "random_baseline",
        }
    }

    /// Whether it asks a provider.
    pub const fn calls_provider(self) -> bool {
        !matches!(self, Self::TopTokens | Self::None | Self::RandomBaseline)
    }

    /// Whether it needs a provider that continues text and gives the log-probabilities of given text.
    pub const fn needs_prompt_logprobs(self) -> bool {
        matches!(self, Self::Completion)
    }

    /// Whether it names the tokens that the latent promotes.
    pub const fn shows_promoted(self) -> bool {
        matches!(self, Self::MaxActLogits | Self::TopTokens)
    }

    /// How its examples are drawn, unless the request says.
    pub const fn sampler(self) -> TrainSampler {
        match self {
            // Words of weak examples are of anything.
            Self::TopTokens | Self::Completion => TrainSampler::Top,
            Self::Default
            | Self::SingleToken
            | Self::Contrastive
            | Self::MaxActLogits
            | Self::None
            | Self::RandomBaseline => TrainSampler::Quantiles,
        }
    }
}

/// Who writes explanations, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainerSpec {
    /// What is shown.
    pub kind: ExplainerKind,
    /// To whom; `None` where nobody is asked.
    pub provider: Option<ProviderId>,
    /// Tokens are marked from this share of the highest activation of their example.
    pub threshold: f64,
    /// Ask for reasoning before the answer.
    pub chain_of_thought: bool,
    /// Sampling temperature.
    pub temperature: f64,
    /// Longest answer, in tokens.
    pub max_tokens: u32,
}

/// What a scorer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScorerKind {
    /// On which texts does the latent fire?
    Detection,
    /// In which texts are the right tokens marked? Wrong marks lie in texts on which it does not fire.
    Fuzzing,
    /// As [`ScorerKind::Fuzzing`], with wrong marks in texts on which it fires.
    FuzzingActive,
    /// How strongly does it fire on each token, by log-probabilities?
    Simulation,
    /// As [`ScorerKind::Simulation`], by an answer in JSON.
    SimulationJson,
    /// Is the text less surprising with the explanation?
    Surprisal,
    /// Is the explanation near the texts?
    Embedding,
    /// Are held-out texts near examples of the latent?
    ExampleEmbedding,
    /// Which text does not belong?
    Intruder,
}

impl ScorerKind {
    /// Every kind.
    pub const ALL: [ScorerKind; 9] = [
        Self::Detection,
        Self::Fuzzing,
        Self::FuzzingActive,
        Self::Simulation,
        Self::SimulationJson,
        Self::Surprisal,
        Self::Embedding,
        Self::ExampleEmbedding,
        Self::Intruder,
    ];

    /// The name, in snake_case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::Fuzzing => "fuzzing",
            Self::FuzzingActive => "fuzzing_active",
            Self::Simulation => "simulation",
            Self::SimulationJson => "simulation_json",
            Self::Surprisal => "surprisal",
            Self::Embedding => "embedding",
            Self::ExampleEmbedding => "example_embedding",
            Self::Intruder => "intruder",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it grades an explanation; the others grade the latent itself.
    pub const fn needs_explanation(self) -> bool {
        !matches!(self, Self::ExampleEmbedding | Self::Intruder)
    }

    /// Whether it asks a sentence encoder in place of a provider.
    pub const fn uses_sentence_encoder(self) -> bool {
        matches!(self, Self::Embedding | Self::ExampleEmbedding)
    }

    /// Whether it needs the log-probabilities of given text.
    pub const fn needs_prompt_logprobs(self) -> bool {
        matches!(self, Self::Simulation | Self::Surprisal)
    }
}

/// How a simulation is brought to the scale of the latent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// As it is.
    #[default]
    Uncalibrated,
    /// By a line.
    Linear,
    /// By matching percentiles.
    Percentile,
}

impl Calibration {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uncalibrated => "uncalibrated",
            Self::Linear => "linear",
            Self::Percentile => "percentile",
        }
    }
}

/// Who grades, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScorerSpec {
    /// What is asked.
    pub kind: ScorerKind,
    /// Whom; `None` for a sentence encoder.
    pub provider: Option<ProviderId>,
    /// The sentence encoder; `None` for a provider.
    pub encoder: Option<ModelId>,
    /// Examples in one prompt.
    pub examples_per_prompt: usize,
    /// How a simulation is calibrated.
    pub calibration: Calibration,
    /// Tokens are marked from this share of the highest activation of their example.
    pub threshold: f64,
    /// Sampling temperature.
    pub temperature: f64,
    /// Longest answer, in tokens, thinking included. Jobs of older versions gave what the answer itself needs.
    #[serde(default)]
    pub max_tokens: u32,
}

/// What a job may spend; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Calls of providers.
    pub calls: Option<u64>,
    /// Tokens of prompts and answers.
    pub tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub micros: Option<i64>,
}

/// Everything that an auto-interpretation job depends on.
///
/// Its work items are numbered `index · (1 + scorers) + stage`: `index` counts the latents; stage 0 finds the explanations of
/// the latent, stage `1 + s` is scorer `s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutointerpSpec {
    /// Whose latents.
    pub sae: SaeName,
    /// Digest of the SAE's weights when the job was asked for.
    pub sae_digest: String,
    /// Where examples come from.
    pub cache: CacheId,
    /// Which latents.
    pub latents: Latents,
    /// Writes the explanations.
    pub explainer: ExplainerSpec,
    /// Only these explanations are scored, with [`ExplainerKind::None`]; all of the latents if empty.
    pub explanations: Vec<ExplanationId>,
    /// Grade them.
    pub scorers: Vec<ScorerSpec>,
    /// How examples are drawn.
    pub examples: ExamplePlan,
    /// What the job may spend.
    pub budget: Budget,
}

impl AutointerpSpec {
    /// Work items of one latent.
    pub fn stages(&self) -> usize {
        1 + self.scorers.len()
    }

    /// Work items of the job.
    pub fn items(&self) -> usize {
        self.latents.len() * self.stages()
    }

    /// The latent and the stage of a work item.
    pub fn item(&self, ord: u32) -> Option<(u32, usize)> {
        let (index, stage) = (ord as usize / self.stages(), ord as usize % self.stages());
        Some((self.latents.get(index)?, stage))
    }
}
