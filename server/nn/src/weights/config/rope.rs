//! Rotary position embeddings as configurations describe them, and the frequencies that follow.

use std::f64::consts::TAU;

use serde::Deserialize;

use super::{Refusal, positive};

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
    /// Each divided by its own factor: how GGUF files write Llama 3's scaling (`rope_freqs.weight`), `d_head / 2` values.
    Factors(Vec<f32>),
}

/// `rope_scaling` of transformers 4, and `rope_parameters` of transformers 5, which also holds the base.
#[derive(Deserialize, Default)]
pub(super) struct RawRope {
    pub(super) rope_theta: Option<f64>,
    rope_type: Option<String>,
    /// The older name of `rope_type`; files may have both.
    r#type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<u64>,
    partial_rotary_factor: Option<f64>,
}

impl RopeConfig {
    /// Base where a configuration does not say, as in transformers and llama.cpp.
    pub(crate) const DEFAULT_THETA: f64 = 10_000.0;

    pub(super) fn from_raw(
        theta: Option<f64>,
        raw: &RawRope,
        context_length: usize,
    ) -> Result<Self, Refusal> {
        let theta = positive(
            "rope_theta",
            theta.or(raw.rope_theta).unwrap_or(Self::DEFAULT_THETA),
        )?;
        if raw
            .partial_rotary_factor
            .is_some_and(|factor| factor != 1.0)
        {
            return Err(Refusal::Unsupported(
                "a `partial_rotary_factor` other than 1 is not supported".to_owned(),
            ));
        }
        let needed = |name: &str, value: Option<f64>| match value {
            Some(value) => positive(name, value),
            None => Err(Refusal::Malformed(format!(
                "the rope scaling lacks `{name}`"
            ))),
        };
        let scaling = match raw.rope_type.as_deref().or(raw.r#type.as_deref()) {
            None | Some("default") => RopeScaling::None,
            Some("linear") => RopeScaling::Linear {
                factor: needed("factor", raw.factor)?,
            },
            Some("llama3") => {
                let low_freq_factor = needed("low_freq_factor", raw.low_freq_factor)?;
                let high_freq_factor = needed("high_freq_factor", raw.high_freq_factor)?;
                if high_freq_factor <= low_freq_factor {
                    let detail = "`high_freq_factor` must be above `low_freq_factor`";
                    return Err(Refusal::Malformed(detail.to_owned()));
                }
                let original = raw
                    .original_max_position_embeddings
                    .unwrap_or(context_length as u64);
                RopeScaling::Llama3 {
                    factor: needed("factor", raw.factor)?,
                    low_freq_factor,
                    high_freq_factor,
                    original_context_length: super::count(
                        "original_max_position_embeddings",
                        Some(original),
                        super::MAX_CONTEXT,
                    )?,
                }
            }
            Some(other) => {
                let detail = format!(
                    "rope type `{other}` is not supported; supported are: default, linear, llama3"
                );
                return Err(Refusal::Unsupported(detail));
            }
        };
        Ok(Self { theta, scaling })
    }

    /// The angle per position of each pair of a head's elements: `d_head / 2` values, `theta^(-2i/d_head)` scaled.
    ///
    /// Rounded where transformers rounds (`modeling_rope_utils.py`), since an angle is a frequency times a position and
    /// thousands of positions would magnify a difference in the last bit.
    pub fn inverse_frequencies(&self, d_head: usize) -> Vec<f32> {
        let plain = (0..d_head / 2).map(|i| {
            let exponent = (2 * i) as f32 / d_head as f32;
            1.0 / self.theta.powf(f64::from(exponent)) as f32
        });
        match &self.scaling {
            RopeScaling::None => plain.collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of `LlamaRotaryEmbedding(config).inv_freq` in transformers 5.23: base 100 000, width 64.
    const PLAIN: [u32; 32] = [
        0x3f800000, 0x3f32a506, 0x3ef953cf, 0x3eadfcff, 0x3e72d423, 0x3e297409, 0x3dec7fd6,
        0x3da50956, 0x3d6655c2, 0x3d20bc1d, 0x3ce054d2, 0x3c9c8b97, 0x3c5a7bf2, 0x3c187705,
        0x3bd4ca15, 0x3b947dae, 0x3b4f3e38, 0x3b109edb, 0x3ac9d75c, 0x3a8cd9db, 0x3a44948c,
        0x3a092e02, 0x39bf74d7, 0x39859aa9, 0x393a7753, 0x39021f2b, 0x38b59b1b, 0x387d75d4,
        0x3830df52, 0x37f6da96, 0x37ac431d, 0x37706b6d,
    ];
    /// The same of Llama 3.2's configuration: base 500 000, width 64, `llama3` with factor 32.
    const LLAMA3: [u32; 32] = [
        0x3f800000, 0x3f29e1c6, 0x3ee177bc, 0x3e959ee3, 0x3e4693b0, 0x3e03c6a0, 0x3daee4ad,
        0x3d681e67, 0x3d1a08c8, 0x3ccc6f49, 0x3c87a9c3, 0x3c340d6d, 0x3beef74f, 0x3b9e9402,
        0x3b527720, 0x3aa9279b, 0x39e13620, 0x38cb98f7, 0x37a3418d, 0x3758ac81, 0x370fc8f8,
        0x36bed4f4, 0x367d45c3, 0x3628126b, 0x35df10c4, 0x359406cb, 0x35447610, 0x35025f34,
        0x34ad07a7, 0x3465a54d, 0x341864a7, 0x33ca41b0,
    ];

    /// Largest difference in units in the last place.
    fn distance(found: &[f32], expected: [u32; 32]) -> u32 {
        assert_eq!(found.len(), expected.len());
        found
            .iter()
            .zip(expected)
            .map(|(found, expected)| found.to_bits().abs_diff(expected))
            .max()
            .unwrap()
    }

    #[test]
    fn frequencies_are_those_of_transformers() {
        let plain = RopeConfig {
            theta: 100_000.0,
            scaling: RopeScaling::None,
        };
        assert!(distance(&plain.inverse_frequencies(64), PLAIN) <= 1);
        let scaling = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context_length: 8192,
        };
        let llama3 = RopeConfig {
            theta: 500_000.0,
            scaling,
        };
        assert!(distance(&llama3.inverse_frequencies(64), LLAMA3) <= 2);
    }

    #[test]
    fn factors_divide() {
        let factors = RopeConfig {
            theta: 100.0,
            scaling: RopeScaling::Factors(vec![1.0, 4.0]),
        };
        assert_eq!(factors.inverse_frequencies(4), [1.0, 0.1 / 4.0]);
        let linear = RopeConfig {
            theta: 100.0,
            scaling: RopeScaling::Linear { factor: 2.0 },
        };
        assert_eq!(linear.inverse_frequencies(4), [0.5, 0.05]);
    }

    #[test]
    fn unknown_scalings_are_refused() {
        let raw = RawRope {
            rope_type: Some("yarn".to_owned()),
            ..RawRope::default()
        };
        assert!(matches!(
            RopeConfig::from_raw(None, &raw, 100),
            Err(Refusal::Unsupported(_))
        ));
        let raw = RawRope {
            rope_type: Some("llama3".to_owned()),
            factor: Some(8.0),
            ..RawRope::default()
        };
        assert!(matches!(
            RopeConfig::from_raw(None, &raw, 100),
            Err(Refusal::Malformed(_))
        ));
        assert!(matches!(
            RopeConfig::from_raw(Some(f64::NAN), &RawRope::default(), 9),
            Err(Refusal::Malformed(_))
        ));
    }
}
