//! How examples are drawn from a cache for explaining and scoring.

use clap::{Args, ValueEnum};
use latentd_client::{ExamplePlan, NonActivating, TrainSampler};

use super::super::examples::CentringArg;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Examples (scorers never see those that the explainer was shown)")]
pub(in crate::cli) struct PlanArgs {
    /// Examples for the explainer [default: 40]
    #[arg(long, value_name = "N")]
    n_train: Option<u32>,
    /// Examples on which the latent fires, for scorers [default: 50; none without a scorer]
    #[arg(long, value_name = "N")]
    n_test: Option<u32>,
    /// Examples on which it does not fire, for scorers [default: 50]
    #[arg(long, value_name = "N")]
    n_non_activating: Option<u32>,
    /// Number of quantiles that examples are drawn from [default: 10]
    #[arg(long, value_name = "N")]
    quantiles: Option<u32>,
    /// How the explainer's examples are drawn [default: quantiles; top with the explainers top-tokens and completion]
    #[arg(long, value_enum)]
    train_sampler: Option<SamplerArg>,
    /// Share of the strongest examples, with --train-sampler mix [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    ratio_top: Option<f64>,
    /// Where examples on which the latent does not fire come from
    #[arg(long, value_enum, default_value_t, value_name = "SOURCE")]
    non_activating: NonActivatingArg,
    /// Tokens of an example [default: 32]
    #[arg(long, value_name = "N")]
    window: Option<u32>,
    /// Where the window lies around its peak
    #[arg(long, value_enum, default_value_t)]
    centring: CentringArg,
    /// Leave out latents with fewer examples [default: 10, or half of what is to be shown where that is less]
    #[arg(long, value_name = "N")]
    min_examples: Option<u32>,
    /// Seed of random choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SamplerArg {
    /// The strongest examples
    Top,
    /// Drawn at random from all on which the latent fires
    Random,
    /// Equally many from each quantile
    Quantiles,
    /// A share of --ratio-top of the strongest, the others from quantiles
    Mix,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum NonActivatingArg {
    /// Anywhere in the cache
    #[default]
    Random,
    /// Examples of latents that often fire on the same tokens
    CoOccurrence,
    /// Examples of latents with the nearest encoder directions
    Encoder,
    /// Examples of latents with the nearest decoder directions
    Decoder,
    /// Texts most like those of the strongest examples; needs a sentence encoder
    SimilarText,
}

impl PlanArgs {
    pub(in crate::cli) fn plan(&self) -> ExamplePlan {
        let plan = ExamplePlan::new()
            .train(self.n_train.unwrap_or_default())
            .test(
                self.n_test.unwrap_or_default(),
                self.n_non_activating.unwrap_or_default(),
            )
            .quantiles(self.quantiles.unwrap_or_default())
            .non_activating(match self.non_activating {
                NonActivatingArg::Random => NonActivating::RandomWindows,
                NonActivatingArg::CoOccurrence => NonActivating::NeighboursCoOccurrence,
                NonActivatingArg::Encoder => NonActivating::NeighboursEncoder,
                NonActivatingArg::Decoder => NonActivating::NeighboursDecoder,
                NonActivatingArg::SimilarText => NonActivating::SimilarText,
            })
            .window(self.window.unwrap_or_default())
            .centring(self.centring.into())
            .seed(self.seed);
        let sampler = self.train_sampler.map(|sampler| match sampler {
            SamplerArg::Top => TrainSampler::Top,
            SamplerArg::Random => TrainSampler::Random,
            SamplerArg::Quantiles => TrainSampler::Quantiles,
            SamplerArg::Mix => TrainSampler::Mix,
        });
        let plan = match sampler {
            Some(sampler) => plan.train_sampler(sampler),
            None => plan,
        };
        let plan = match self.ratio_top {
            Some(share) => plan.ratio_top(share),
            None => plan,
        };
        match self.min_examples {
            Some(examples) => plan.min_examples(examples),
            None => plan,
        }
    }
}
