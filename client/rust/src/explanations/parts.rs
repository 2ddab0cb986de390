//! Who explains, who scores, and what that may cost: the parts of a request that starts a job.

use latentd_proto::v1 as proto;
use serde::Serialize;

/// What an explainer makes explanations from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplainerKind {
    /// Examples with the strong tokens marked and their activations from 0 to 10 (delphi).
    #[default]
    Default,
    /// Examples of a latent that fires on single tokens: only the strongest token of each is marked.
    SingleToken,
    /// Examples beside ones on which the latent does not fire.
    Contrastive,
    /// Examples, and the tokens that the latent promotes (Neuronpedia's max-act-logits).
    MaxActLogits,
    /// The words at the peaks of the strongest examples with their share, and the tokens that the latent promotes. A baseline that
    /// asks no language model, and often a good label.
    TopTokens,
    /// The words at the peaks of the strongest examples, for a base or small model to continue with their theme. Needs a provider
    /// that gives the log-probabilities of given text.
    Completion,
    /// Nobody is asked: the explanations that exist for the latents are scored.
    None,
    /// A baseline: the explanation of another latent, drawn at random.
    RandomBaseline,
}

/// Writes explanations.
#[derive(Clone, Debug)]
#[must_use]
pub struct Explainer(pub(super) proto::Explainer);

impl Explainer {
    /// An explainer of this kind, without a provider: enough for `TopTokens`, `None` and `RandomBaseline`.
    pub fn new(kind: ExplainerKind) -> Self {
        let mut explainer = proto::Explainer::default();
        explainer.set_kind(match kind {
            ExplainerKind::Default => proto::explainer::Kind::Default,
            ExplainerKind::SingleToken => proto::explainer::Kind::SingleToken,
            ExplainerKind::Contrastive => proto::explainer::Kind::Contrastive,
            ExplainerKind::MaxActLogits => proto::explainer::Kind::MaxActLogits,
            ExplainerKind::TopTokens => proto::explainer::Kind::TopTokens,
            ExplainerKind::Completion => proto::explainer::Kind::Completion,
            ExplainerKind::None => proto::explainer::Kind::None,
            ExplainerKind::RandomBaseline => proto::explainer::Kind::RandomBaseline,
        });
        Self(explainer)
    }

    /// The default explainer, with this provider: `{provider}`, or `providers/{provider}`.
    pub fn by(provider: impl Into<String>) -> Self {
        Self::new(ExplainerKind::Default).provider(provider)
    }

    /// Who is asked. Scorers without a provider of their own ask it too.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.0.provider = provider.into();
        self
    }

    /// Tokens are marked from this share of the highest activation of their example: 0.3, or 0.6 with `SingleToken`,
    /// unless set.
    pub fn threshold(mut self, share: f64) -> Self {
        self.0.threshold = Some(share);
        self
    }

    /// Asks the provider to reason before it answers.
    pub fn chain_of_thought(mut self) -> Self {
        self.0.chain_of_thought = true;
        self
    }

    /// Sampling temperature; 0, unless set, takes the likeliest token each time.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.0.temperature = temperature;
        self
    }

    /// Longest answer, in tokens, thinking included; the provider's unless set.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.0.max_tokens = tokens;
        self
    }
}

/// What a scorer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScorerKind {
    /// Which of these texts does the latent fire on? (Also called recall.)
    Detection,
    /// In which of these texts are the marked tokens those on which the latent fires?
    Fuzzing,
    /// As `Fuzzing`, with wrong marks in texts on which the latent fires.
    FuzzingActive,
    /// How strongly does it fire on each token? By the log-probabilities of all tokens at once.
    Simulation,
    /// As `Simulation`, by an answer in JSON; needs no log-probabilities.
    SimulationJson,
    /// Does the explanation make the text less surprising to a language model?
    Surprisal,
    /// Is the explanation near the texts, as a sentence encoder sees them?
    Embedding,
    /// Are texts that were held out nearer to examples of the latent than to other texts? Needs no explanation.
    ExampleEmbedding,
    /// Which of these texts does not belong? Needs no explanation.
    Intruder,
}

impl ScorerKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
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

    /// The name of the API, such as `fuzzing_active`.
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

    /// The kind of this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How a simulation is brought to the scale of the latent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// As it is.
    #[default]
    Uncalibrated,
    /// By a line, fitted on half of the examples.
    Linear,
    /// By matching percentiles, learned on half of the examples.
    Percentile,
}

/// Grades explanations.
#[derive(Clone, Debug)]
#[must_use]
pub struct Scorer(pub(super) proto::Scorer);

impl Scorer {
    /// A scorer of this kind. It asks the explainer's provider unless it has its own.
    pub fn new(kind: ScorerKind) -> Self {
        let mut scorer = proto::Scorer::default();
        scorer.set_kind(match kind {
            ScorerKind::Detection => proto::scorer::Kind::Detection,
            ScorerKind::Fuzzing => proto::scorer::Kind::Fuzzing,
            ScorerKind::FuzzingActive => proto::scorer::Kind::FuzzingActive,
            ScorerKind::Simulation => proto::scorer::Kind::Simulation,
            ScorerKind::SimulationJson => proto::scorer::Kind::SimulationJson,
            ScorerKind::Surprisal => proto::scorer::Kind::Surprisal,
            ScorerKind::Embedding => proto::scorer::Kind::Embedding,
            ScorerKind::ExampleEmbedding => proto::scorer::Kind::ExampleEmbedding,
            ScorerKind::Intruder => proto::scorer::Kind::Intruder,
        });
        Self(scorer)
    }

    /// Who is asked: `{provider}`, or `providers/{provider}`.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.0.provider = provider.into();
        self
    }

    /// Examples in one prompt of detection, fuzzing and intruder; 5 unless set.
    pub fn examples_per_prompt(mut self, examples: u32) -> Self {
        self.0.examples_per_prompt = examples;
        self
    }

    /// How a simulation is calibrated.
    pub fn calibration(mut self, calibration: Calibration) -> Self {
        self.0.set_calibration(match calibration {
            Calibration::Uncalibrated => proto::scorer::Calibration::Uncalibrated,
            Calibration::Linear => proto::scorer::Calibration::Linear,
            Calibration::Percentile => proto::scorer::Calibration::Percentile,
        });
        self
    }

    /// Tokens are marked from this share of the highest activation of their example, with fuzzing; 0.3 unless set.
    pub fn threshold(mut self, share: f64) -> Self {
        self.0.threshold = Some(share);
        self
    }

    /// Sampling temperature; 0 unless set.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.0.temperature = temperature;
        self
    }

    /// Longest answer, in tokens, thinking included; the provider's unless set.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.0.max_tokens = tokens;
        self
    }

    /// The sentence encoder of `Embedding` and `ExampleEmbedding`: `models/{model}`. The only one that is resident, unless
    /// set.
    pub fn encoder(mut self, model: impl Into<String>) -> Self {
        self.0.encoder = model.into();
        self
    }
}

impl From<ScorerKind> for Scorer {
    fn from(kind: ScorerKind) -> Self {
        Self::new(kind)
    }
}

/// What a job may spend. When any of it is spent the job pauses. What is 0 has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Budget {
    /// Calls of providers.
    pub calls: u64,
    /// Tokens of prompts and answers together.
    pub tokens: u64,
    /// US dollars, by the providers' prices.
    pub dollars: f64,
}

impl From<Budget> for proto::Budget {
    fn from(budget: Budget) -> Self {
        let Budget {
            calls,
            tokens,
            dollars,
        } = budget;
        Self {
            calls,
            tokens,
            dollars,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_called_as_the_api_calls_them() {
        for kind in ScorerKind::ALL {
            let sent = Scorer::new(kind).0.kind().as_str_name().to_lowercase();
            assert_eq!(sent, kind.as_str());
            assert_eq!(ScorerKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(ScorerKind::parse("recall"), None);
    }

    #[test]
    fn the_default_explainer_is_that_of_the_api() {
        let explainer = Explainer::by("p").0;
        assert_eq!(explainer.kind(), proto::explainer::Kind::Default);
        assert_eq!(
            (explainer.provider.as_str(), explainer.threshold),
            ("p", None)
        );
    }
}
