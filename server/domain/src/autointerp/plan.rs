//! How examples are drawn for explaining and scoring.

use serde::{Deserialize, Serialize};

use crate::Centring;

/// How the examples that an explainer sees are drawn (delphi's `train_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainSampler {
    /// The strongest.
    Top,
    /// Any on which the latent fires.
    Random,
    /// The same number from each quantile.
    #[default]
    Quantiles,
    /// Some of the strongest, the others as [`TrainSampler::Quantiles`].
    Mix,
}

/// Where examples on which the latent does not fire come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonActivatingSource {
    /// Anywhere in the cache.
    #[default]
    RandomWindows,
    /// Examples of latents that fire on the same tokens most often, by Jaccard similarity.
    NeighboursCoOccurrence,
    /// Examples of the latents with the nearest encoder directions, by cosine.
    NeighboursEncoder,
    /// Examples of the latents with the nearest decoder directions, by cosine.
    NeighboursDecoder,
    /// Windows whose text is most like that of the strongest examples.
    SimilarText,
}

/// How examples are drawn. Examples for the explainer and for scorers are disjoint by construction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExamplePlan {
    /// Examples for the explainer.
    pub n_train: usize,
    /// Examples on which the latent fires, for scorers; 0 where nobody scores.
    pub n_test: usize,
    /// Examples on which it does not fire, for scorers.
    pub n_non_activating: usize,
    /// Quantiles that examples are drawn from.
    pub n_quantiles: usize,
    /// How the explainer's examples are drawn.
    pub train_sampler: TrainSampler,
    /// Share of the strongest, with [`TrainSampler::Mix`].
    pub ratio_top: f64,
    /// Where examples on which the latent does not fire come from.
    pub non_activating: NonActivatingSource,
    /// Tokens of an example.
    pub window: usize,
    /// Where the window lies around its peak.
    pub centring: Centring,
    /// Latents with fewer examples are left out. Those with fewer than are to be shown are shown with what they have.
    pub min_examples: usize,
    /// Seed of random choices.
    pub seed: u64,
}

impl ExamplePlan {
    /// Examples that are enough to explain a latent, and to score that, unless something else is asked for: a small cache has few
    /// of most latents.
    pub const ENOUGH: usize = 10;

    /// The default of `min_examples` where so many are to be shown: [`ExamplePlan::ENOUGH`], or half of them if that is less.
    pub fn default_min(n_train: usize, n_test: usize) -> usize {
        (n_train + n_test).div_ceil(2).min(Self::ENOUGH)
    }
}

impl Default for ExamplePlan {
    /// delphi's defaults, but for `min_examples`, and the seed, which is 0 wherever none is given.
    fn default() -> Self {
        Self {
            n_train: 40,
            n_test: 50,
            n_non_activating: 50,
            n_quantiles: 10,
            train_sampler: TrainSampler::Quantiles,
            ratio_top: 0.2,
            non_activating: NonActivatingSource::RandomWindows,
            window: 32,
            centring: Centring::Peak,
            min_examples: Self::ENOUGH,
            seed: 0,
        }
    }
}
