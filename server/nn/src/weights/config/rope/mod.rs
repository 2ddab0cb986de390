//! Rotary position embeddings as configurations describe them ([`json`]), and the frequencies that follow.

mod json;
#[cfg(test)]
mod tests;
mod yarn;

use std::f64::consts::TAU;

pub(super) use json::read;
pub use yarn::Yarn;

/// How queries and keys are rotated by their position.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Base of the geometric series of frequencies.
    pub theta: f64,
    /// How the frequencies are stretched for long contexts.
    pub scaling: RopeScaling,
}

/// How the frequencies are stretched.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3: low frequencies divided by the factor, high ones kept, those between interpolated.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `original_context_length / low_freq_factor` are stretched.
        low_freq_factor: f64,
        /// Wavelengths below `original_context_length / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context of the pretraining, in tokens.
        original_context_length: usize,
    },
    /// YaRN: as Llama 3 with other bounds, and the rotated vectors are scaled too.
    Yarn(Yarn),
    /// Each divided by its own factor: how GGUF files write Llama 3's scaling (`rope_freqs.weight`), `d_head / 2` values.
    Factors(Vec<f32>),
}

impl RopeConfig {
    /// Base where a configuration does not say, as in transformers and llama.cpp.
    pub(crate) const DEFAULT_THETA: f64 = 10_000.0;

    /// What the rotated queries and keys are multiplied by: 1 but for YaRN.
    pub fn attention_factor(&self) -> f32 {
        match &self.scaling {
            RopeScaling::Yarn(yarn) => yarn.attention_factor as f32,
            RopeScaling::None
            | RopeScaling::Linear { .. }
            | RopeScaling::Llama3 { .. }
            | RopeScaling::Factors(_) => 1.0,
        }
    }

    /// The angle per position of each pair of a head's elements: `d_head / 2` values, `theta^(-2i/d_head)` scaled.
    ///
    /// Rounded where transformers rounds (`modeling_rope_utils.py`), since an angle is a frequency times a position and
    /// thousands of positions would magnify a difference in the last bit.
    pub fn inverse_frequencies(&self, d_head: usize) -> Vec<f32> {
        let powers = (0..d_head / 2).map(|i| {
            let exponent = (2 * i) as f32 / d_head as f32;
            self.theta.powf(f64::from(exponent)) as f32
        });
        if let RopeScaling::Yarn(yarn) = &self.scaling {
            return yarn.stretch(powers, self.theta, d_head);
        }
        let plain = powers.map(|power| 1.0 / power);
        match &self.scaling {
            RopeScaling::None | RopeScaling::Yarn(_) => plain.collect(),
            RopeScaling::Linear { factor } => {
                plain.map(|frequency| frequency / *factor as f32).collect()
            }
            RopeScaling::Factors(factors) => plain
                .zip(factors)
                .map(|(frequency, factor)| frequency / factor)
                .collect(),
            &RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_context_length,
            } => {
                let original = original_context_length as f64;
                let stretch = |frequency: f32| {
                    let wavelength = TAU / f64::from(frequency);
                    if wavelength > original / low_freq_factor {
                        return frequency / factor as f32;
                    }
                    if wavelength < original / high_freq_factor {
                        return frequency;
                    }
                    let kept = (original / wavelength - low_freq_factor)
                        / (high_freq_factor - low_freq_factor);
                    let frequency = f64::from(frequency);
                    ((1.0 - kept) * frequency / factor + kept * frequency) as f32
                };
                plain.map(stretch).collect()
            }
        }
    }
}
