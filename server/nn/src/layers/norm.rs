//! Normalisation of the residual stream before a sublayer reads it.

use crate::kernels::{Dense, Vector, layer_norm, rms_norm};

/// One of the two norms in use, with its weights, `[d_model]`.
#[derive(Debug)]
pub(crate) enum Norm {
    /// `x / √(mean(x²) + eps) · weight` (Zhang and Sennrich 2019); llama.
    Rms {
        /// Scale.
        weight: Vector,
        /// Added to the mean square.
        eps: f32,
    },
    /// `(x - mean) / √(var + eps) · weight + bias` (Ba et al. 2016); GPT-2.
    Layer {
        /// Scale.
        weight: Vector,
        /// Shift.
        bias: Vector,
        /// Added to the variance.
        eps: f32,
    },
}

impl Norm {
    /// Normalises each row of `x` into `out`.
    pub(crate) fn apply(&self, x: &Dense, out: &mut Dense) {
        match self {
            Self::Rms { weight, eps } => rms_norm(x, weight, *eps, out),
            Self::Layer { weight, bias, eps } => layer_norm(x, (weight, bias), *eps, out),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Rms { weight, .. } => weight.bytes(),
            Self::Layer { weight, bias, .. } => weight.bytes() + bias.bytes(),
        }
    }
}
