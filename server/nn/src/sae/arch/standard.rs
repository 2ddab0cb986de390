//! The standard SAE: `f = relu(x W_enc + b_enc)`.
//!
//! Source: Bricken et al., "Towards Monosemanticity" (2023); SAELens `standard_sae.py`, `StandardSAE.encode`.

use super::{ActivationRule, LANES, LatentVector};

/// ReLU of the product plus a bias.
#[derive(Clone, Debug)]
pub(crate) struct Standard {
    /// `b_enc`, `[d_sae]`.
    pub(crate) bias: LatentVector,
}

impl Standard {
    /// The rule for `latents` alone.
    pub(crate) fn subset(&self, latents: &[u32]) -> Self {
        Self {
            bias: self.bias.pick(latents),
        }
    }
}

impl ActivationRule for Standard {
    #[inline(always)]
    fn activate(&self, chunk: usize, products: &mut [f32; LANES]) {
        let bias = self.bias.chunk(chunk);
        for (value, bias) in products.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}
