//! Normalisation of the residual stream before a sublayer reads it.

use crate::kernels::{Kernels, Weight};

/// One of the two norms in use, with its weights, `[d_model]`.
#[derive(Debug)]
pub(crate) enum Norm<K: Kernels> {
    /// `x / √(mean(x²) + eps) · weight` (Zhang and Sennrich 2019); llama.
    Rms {
        /// Scale.
        weight: K::Vector,
        /// Added to the mean square.
        eps: f32,
    },
    /// `(x - mean) / √(var + eps) · weight + bias` (Ba et al. 2016); GPT-2.
    Layer {
        /// Scale.
        weight: K::Vector,
        /// Shift.
        bias: K::Vector,
        /// Added to the variance.
        eps: f32,
    },
}

impl<K: Kernels> Norm<K> {
    /// Normalises each row of `x` into `out`.
    pub(crate) fn apply(&self, x: &K::Dense, out: &mut K::Dense) {
        match self {
            Self::Rms { weight, eps } => K::rms_norm(x, weight, *eps, out),
            Self::Layer { weight, bias, eps } => K::layer_norm(x, (weight, bias), *eps, out),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Rms { weight, .. } => weight.bytes(),
            Self::Layer { weight, bias, .. } => weight.bytes() + bias.bytes(),
        }
    }
}
