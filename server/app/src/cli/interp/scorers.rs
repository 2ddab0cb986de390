//! Scorers on a command line: `detection`, or `detection@provider`.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use latentd_client::{Calibration, Scorer, ScorerKind};

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Scorers")]
pub(in crate::cli) struct ScorerArgs {
    /// Score with this: detection, fuzzing, fuzzing_active, simulation, simulation_json, surprisal, embedding, example_embedding
    /// or intruder; @PROVIDER asks another provider. Can be repeated
    #[arg(
        long = "scorer",
        value_name = "SCORER[@PROVIDER]",
        value_delimiter = ','
    )]
    scorers: Vec<ScorerArg>,
    /// Examples in one prompt of detection, fuzzing and intruder [default: 5]
    #[arg(long, value_name = "N")]
    examples_per_prompt: Option<u32>,
    /// How simulated activations are brought to the scale of the latent
    #[arg(long, value_enum, default_value_t)]
    calibration: CalibrationArg,
    /// Fuzzing marks tokens whose activation is at least this share of the highest in their example [default: 0.3]
    #[arg(long, value_name = "SHARE")]
    scorer_threshold: Option<f64>,
    /// Sampling temperature of the scorers' providers
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    scorer_temperature: f64,
    /// Sentence encoder for embedding and example_embedding [default: the only one loaded]
    #[arg(long, value_name = "MODEL")]
    encoder: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum CalibrationArg {
    /// They are used as they are
    #[default]
    Uncalibrated,
    /// By a straight line that is fitted on half of the examples
    Linear,
    /// By matching percentiles, learned on half of the examples
    Percentile,
}

/// A scorer, and its own provider if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ScorerArg {
    kind: ScorerKind,
    provider: Option<String>,
}

impl FromStr for ScorerArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, provider) = match text.split_once('@') {
            Some((kind, provider)) if !provider.is_empty() => (kind, Some(provider.to_owned())),
            Some(_) => return Err("there is no provider after the `@`".to_owned()),
            None => (text, None),
        };
        Ok(Self {
            kind: kind_of(kind)?,
            provider,
        })
    }
}

/// The scorer of this name; `-` does for `_`.
pub(in crate::cli) fn kind_of(name: &str) -> Result<ScorerKind, String> {
    ScorerKind::parse(&name.replace('-', "_")).ok_or_else(|| {
        let names = ScorerKind::ALL.map(ScorerKind::as_str);
        format!("`{name}` is not a scorer; they are {}", names.join(", "))
    })
}

impl ScorerArgs {
    /// The scorers, in the order given; `provider` is asked by those that have none of their own.
    pub(in crate::cli) fn scorers(&self, provider: Option<&str>) -> Vec<Scorer> {
        let scorers = self.scorers.iter();
        scorers.map(|arg| self.scorer(arg, provider)).collect()
    }

    fn scorer(&self, arg: &ScorerArg, provider: Option<&str>) -> Scorer {
        let mut scorer = Scorer::new(arg.kind).temperature(self.scorer_temperature);
        let embeds = matches!(
            arg.kind,
            ScorerKind::Embedding | ScorerKind::ExampleEmbedding
        );
        if let Some(provider) = arg.provider.as_deref().or(provider.filter(|_| !embeds)) {
            scorer = scorer.provider(provider);
        }
        match arg.kind {
            ScorerKind::Detection | ScorerKind::Intruder => {
                scorer = scorer.examples_per_prompt(self.examples_per_prompt.unwrap_or_default());
            }
            ScorerKind::Fuzzing | ScorerKind::FuzzingActive => {
                scorer = scorer.examples_per_prompt(self.examples_per_prompt.unwrap_or_default());
                if let Some(threshold) = self.scorer_threshold {
                    scorer = scorer.threshold(threshold);
                }
            }
            ScorerKind::Simulation | ScorerKind::SimulationJson => {
                scorer = scorer.calibration(match self.calibration {
                    CalibrationArg::Uncalibrated => Calibration::Uncalibrated,
                    CalibrationArg::Linear => Calibration::Linear,
                    CalibrationArg::Percentile => Calibration::Percentile,
                });
            }
            ScorerKind::Embedding | ScorerKind::ExampleEmbedding => {
                if let Some(encoder) = &self.encoder {
                    scorer = scorer.encoder(encoder);
                }
            }
            ScorerKind::Surprisal => {}
        }
        scorer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scorers_are_read_with_their_provider() {
        let read = |text: &str| text.parse::<ScorerArg>();
        let plain = read("fuzzing-active").unwrap();
        assert_eq!(
            (plain.kind, plain.provider),
            (ScorerKind::FuzzingActive, None)
        );
        let other = read("detection@other").unwrap();
        assert_eq!(other.provider.as_deref(), Some("other"));
        assert!(read("detection@").is_err());
        assert!(read("recall").unwrap_err().contains("detection, fuzzing"));
    }
}
