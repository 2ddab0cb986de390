//! How examples are drawn from a cache for explaining and scoring.

use latentd_proto::v1::{self as proto, example_plan as sent};

use crate::Centring;

/// How the examples that an explainer sees are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrainSampler {
    /// The strongest.
    Top,
    /// Any on which the latent fires, at random.
    Random,
    /// The same number from each quantile.
    #[default]
    Quantiles,
    /// Some of the strongest ([`ExamplePlan::ratio_top`]), the others as `Quantiles`.
    Mix,
}

/// Where examples on which the latent does not fire come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonActivating {
    /// Anywhere in the cache.
    #[default]
    RandomWindows,
    /// Strong examples of latents that fire on the same tokens most often.
    NeighboursCoOccurrence,
    /// Strong examples of the latents with the nearest encoder directions.
    NeighboursEncoder,
    /// Strong examples of the latents with the nearest decoder directions.
    NeighboursDecoder,
    /// Windows whose text is most like that of the strongest examples. Needs a sentence encoder.
    SimilarText,
}

/// How examples are drawn. What is shown to an explainer is never shown to a scorer. The server has defaults for all that is
/// not set.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ExamplePlan(pub(super) proto::ExamplePlan);

impl ExamplePlan {
    /// The server's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Examples for the explainer; 40 unless set.
    pub fn train(mut self, examples: u32) -> Self {
        self.0.n_train = examples;
        self
    }

    /// Examples for scorers: as many on which the latent fires as `activating`, and as many on which it does not as
    /// `non_activating`; 50 of each unless set.
    pub fn test(mut self, activating: u32, non_activating: u32) -> Self {
        self.0.n_test = activating;
        self.0.n_non_activating = non_activating;
        self
    }

    /// Quantiles that examples are drawn from; 10 unless set.
    pub fn quantiles(mut self, quantiles: u32) -> Self {
        self.0.n_quantiles = quantiles;
        self
    }

    /// How the explainer's examples are drawn.
    pub fn train_sampler(mut self, sampler: TrainSampler) -> Self {
        self.0.set_train_sampler(match sampler {
            TrainSampler::Top => sent::Sampler::Top,
            TrainSampler::Random => sent::Sampler::Random,
            TrainSampler::Quantiles => sent::Sampler::Quantiles,
            TrainSampler::Mix => sent::Sampler::Mix,
        });
        self
    }

    /// Share of the strongest with [`TrainSampler::Mix`]; 0.2 unless set.
    pub fn ratio_top(mut self, share: f64) -> Self {
        self.0.ratio_top = Some(share);
        self
    }

    /// Where examples on which the latent does not fire come from.
    pub fn non_activating(mut self, source: NonActivating) -> Self {
        self.0.set_non_activating(match source {
            NonActivating::RandomWindows => sent::NonActivating::RandomWindows,
            NonActivating::NeighboursCoOccurrence => sent::NonActivating::NeighboursCoOccurrence,
            NonActivating::NeighboursEncoder => sent::NonActivating::NeighboursEncoder,
            NonActivating::NeighboursDecoder => sent::NonActivating::NeighboursDecoder,
            NonActivating::SimilarText => sent::NonActivating::SimilarText,
        });
        self
    }

    /// Tokens of an example; 32 unless set.
    pub fn window(mut self, tokens: u32) -> Self {
        self.0.window = tokens;
        self
    }

    /// Where the window lies around its peak.
    pub fn centring(mut self, centring: Centring) -> Self {
        self.0.set_centring(centring.into());
        self
    }

    /// Latents with fewer examples are left out and counted; 10, or half of what is to be shown where that is less, unless set.
    pub fn min_examples(mut self, examples: u32) -> Self {
        self.0.min_examples = Some(examples);
        self
    }

    /// Seed of random choices. The same seed over the same cache gives the same examples.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }
}
