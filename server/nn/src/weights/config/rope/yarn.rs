//! YaRN (Peng et al. 2023): high frequencies are kept, low ones divided by a factor, and a ramp leads from one to the other.
//!
//! Source: transformers' `_compute_yarn_parameters`. Rounded where it rounds.

use std::f64::consts::TAU;

/// The parameters of YaRN.
#[derive(Clone, Debug, PartialEq)]
pub struct Yarn {
    /// What low frequencies are divided by.
    pub factor: f64,
    /// What rotated queries and keys are multiplied by.
    pub attention_factor: f64,
    /// Turns within the original context above which a frequency is kept.
    pub beta_fast: f64,
    /// Turns within the original context below which a frequency is divided.
    pub beta_slow: f64,
    /// The ramp begins and ends at whole pairs.
    pub truncate: bool,
    /// Context of the pretraining, in tokens.
    pub original_context_length: usize,
}

impl Yarn {
    /// The attention factor where a configuration gives none.
    pub(super) fn default_attention_factor(factor: f64, mscale: Option<[f64; 2]>) -> f64 {
        let of = |mscale: f64| {
            if factor <= 1.0 {
                1.0
            } else {
                0.1 * mscale * factor.ln() + 1.0
            }
        };
        match mscale {
            Some([mscale, mscale_all_dim]) => of(mscale) / of(mscale_all_dim),
            None => of(1.0),
        }
    }

    /// The frequencies of a rope of base `theta`, whose reciprocals without YaRN are `powers`.
    pub(super) fn stretch(
        &self,
        powers: impl Iterator<Item = f32>,
        theta: f64,
        d_head: usize,
    ) -> Vec<f32> {
        let (low, mut high) = self.ramp(theta, d_head as f64);
        if low == high {
            high += 0.001;
        }
        let factor = self.factor as f32;
        powers
            .enumerate()
            .map(|(pair, power)| {
                let along = (pair as f32 - low as f32) / (high - low) as f32;
                let kept = 1.0 - along.clamp(0.0, 1.0);
                let (plain, divided) = (1.0 / power, 1.0 / (factor * power));
                divided * (1.0 - kept) + plain * kept
            })
            .collect()
    }

    /// The pairs at which the ramp begins and ends.
    fn ramp(&self, theta: f64, width: f64) -> (f64, f64) {
        let original = self.original_context_length as f64;
        let pair_of = |turns: f64| width * (original / (turns * TAU)).ln() / (2.0 * theta.ln());
        let (low, high) = (pair_of(self.beta_fast), pair_of(self.beta_slow));
        let (low, high) = if self.truncate {
            (low.floor(), high.ceil())
        } else {
            (low, high)
        };
        (low.max(0.0), high.min(width - 1.0))
    }
}
