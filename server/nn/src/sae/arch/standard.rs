//! The standard SAE: `f = relu(x W_enc + b_enc)`.
//!
//! Source: Bricken et al., "Towards Monosemanticity" (2023); SAELens `standard_sae.py`, `StandardSAE.encode`.

use super::{ActivationRule, pick, span};

/// ReLU of the product plus a bias.
#[derive(Clone, Debug)]
pub(crate) struct Standard {
    /// `b_enc`, `[d_sae]`.
    pub(crate) bias: Vec<f32>,
}

impl Standard {
    /// The rule for `latents` alone.
    pub(crate) fn subset(&self, latents: &[u32]) -> Self {
        Self { bias: pick(&self.bias, latents) }
    }
}

impl ActivationRule for Standard {
    #[inline(always)]
    fn activate(&self, first: usize, products: &mut [f32]) {
        let bias = span(&self.bias, first, products.len());
        for (value, bias) in products.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}
