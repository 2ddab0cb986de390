//! What happens to an input before the encoder sees it, and how a reconstruction finds the way back.
//!
//! In order: normalise, then subtract `b_dec` where the SAE asks for it. `hook_z` inputs arrive flattened from the model,
//! heads in order, which is the reshaping that SAELens does. `expected_average_only_in` is folded into the weights at load and
//! is nothing here.
//!
//! Source: SAELens `sae.py`, `SAE.process_sae_in` and `SAE._setup_activation_normalization`.

use latentd_domain::Normalisation;

/// SAELens' term that keeps a constant token from a division by zero.
const LAYER_NORM_EPSILON: f32 = 1e-5;

/// What was taken out of one token by normalising: `x = normalised · scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TokenStatistics {
    /// Factor of the way back.
    pub(crate) scale: f32,
    /// Summand of the way back, equal for all dimensions.
    pub(crate) shift: f32,
}

impl TokenStatistics {
    /// Nothing was taken out.
    const NONE: Self = Self {
        scale: 1.0,
        shift: 0.0,
    };

    /// Brings a reconstruction back into the model's space, as SAELens' decode does.
    pub(crate) fn undo(self, reconstruction: &mut [f32]) {
        for value in reconstruction {
            *value = *value * self.scale + self.shift;
        }
    }
}

/// Prepares the inputs of one SAE.
#[derive(Clone, Debug)]
pub(crate) struct InputPipeline {
    normalisation: Normalisation,
    /// `b_dec`, where it is subtracted.
    offset: Option<Vec<f32>>,
}

impl InputPipeline {
    /// A pipeline that normalises and then subtracts `offset`, `[d_in]`.
    pub(crate) fn new(normalisation: Normalisation, offset: Option<Vec<f32>>) -> Self {
        Self {
            normalisation,
            offset,
        }
    }

    /// Writes the prepared form of the token `x` to `out`; both have `d_in` values.
    pub(crate) fn prepare(&self, x: &[f32], out: &mut [f32]) -> TokenStatistics {
        out.copy_from_slice(x);
        let statistics = match self.normalisation {
            Normalisation::None | Normalisation::ExpectedAverageOnlyIn { .. } => {
                TokenStatistics::NONE
            }
            Normalisation::ConstantNormRescale => constant_norm(out),
            Normalisation::LayerNorm => layer_norm(out),
        };
        if let Some(offset) = &self.offset {
            for (value, offset) in out.iter_mut().zip(offset) {
                *value -= offset;
            }
        }
        statistics
    }
}

/// Scales `x` to the norm √d_in. A token of zeros stays one, where SAELens would divide by zero.
fn constant_norm(x: &mut [f32]) -> TokenStatistics {
    let norm = x
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt();
    if norm == 0.0 {
        return TokenStatistics::NONE;
    }
    let coefficient = ((x.len() as f64).sqrt() / norm) as f32;
    for value in x {
        *value *= coefficient;
    }
    TokenStatistics {
        scale: coefficient.recip(),
        shift: 0.0,
    }
}

/// Centres `x` and divides it by its standard deviation (unbiased) plus an epsilon. The way back multiplies by the deviation
/// alone, as SAELens does.
fn layer_norm(x: &mut [f32]) -> TokenStatistics {
    let length = x.len() as f64;
    let mean = x.iter().map(|&value| f64::from(value)).sum::<f64>() / length;
    let squares = x
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>();
    let deviation = (squares / (length - 1.0).max(1.0)).sqrt() as f32;
    let mean = mean as f32;
    let factor = deviation + LAYER_NORM_EPSILON;
    for value in x {
        *value = (*value - mean) / factor;
    }
    TokenStatistics {
        scale: deviation,
        shift: mean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(normalisation: Normalisation, x: &[f32]) -> (Vec<f32>, TokenStatistics) {
        let mut out = vec![0.0; x.len()];
        let statistics = InputPipeline::new(normalisation, None).prepare(x, &mut out);
        (out, statistics)
    }

    #[test]
    fn constant_norm_gives_the_root_of_the_width_and_undoes_it() {
        let x = [3.0, 4.0, 0.0, 0.0];
        let (mut out, statistics) = prepared(Normalisation::ConstantNormRescale, &x);
        assert_eq!(out, [1.2, 1.6, 0.0, 0.0]);
        statistics.undo(&mut out);
        assert!(out.iter().zip(x).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn layer_norm_is_unbiased() {
        let (out, statistics) = prepared(Normalisation::LayerNorm, &[1.0, 2.0, 3.0]);
        assert_eq!(
            statistics,
            TokenStatistics {
                scale: 1.0,
                shift: 2.0
            }
        );
        assert!((out[2] - 1.0 / (1.0 + 1e-5)).abs() < 1e-6);
    }

    #[test]
    fn constant_tokens_stay_finite() {
        for normalisation in [Normalisation::ConstantNormRescale, Normalisation::LayerNorm] {
            assert!(
                prepared(normalisation, &[0.0; 8])
                    .0
                    .iter()
                    .all(|value| *value == 0.0)
            );
        }
    }

    #[test]
    fn the_offset_comes_after_the_norm() {
        let pipeline = InputPipeline::new(Normalisation::ConstantNormRescale, Some(vec![1.0, 0.0]));
        let mut out = [0.0; 2];
        pipeline.prepare(&[0.0, 5.0], &mut out);
        assert_eq!(out[0], -1.0);
        assert!((out[1] - 2f32.sqrt()).abs() < 1e-6);
    }
}
