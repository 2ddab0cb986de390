//! The TopK SAE: with `h = x W_enc + b_enc`, times `‖W_dec_i‖` of each latent where the SAE rescales by decoder norm,
//! `f = relu(h)` at the k largest `h` of a token and 0 elsewhere.
//!
//! Only positive values fire, so the choice among the positive ones is the choice among all: where fewer than k are
//! positive, the rest of the k largest would be cut by the ReLU anyway. Equal values go to the lower latent index.
//!
//! Source: Gao et al., "Scaling and evaluating sparse autoencoders" (2024), section 2.3; SAELens `topk_sae.py`, `TopK.forward`
//! and `TopKSAE.encode`.

use super::{ActivationRule, LANES, LatentVector};

/// The pre-activation; which of them fire is decided over all latents, by the encoder's selection.
#[derive(Clone, Debug)]
pub(crate) struct TopK {
    /// `b_enc`, `[d_sae]`.
    pub(crate) bias: LatentVector,
    /// `‖W_dec_i‖` where the SAE rescales by decoder norm, else 1; `[d_sae]`.
    pub(crate) factor: LatentVector,
    /// Latents that fire on each token, at most.
    pub(crate) k: usize,
}

impl TopK {
    /// The rule for `latents` alone.
    pub(crate) fn subset(&self, latents: &[u32]) -> Self {
        Self {
            bias: self.bias.pick(latents),
            factor: self.factor.pick(latents),
            k: self.k,
        }
    }
}

impl ActivationRule for TopK {
    #[inline(always)]
    fn activate(&self, chunk: usize, products: &mut [f32; LANES]) {
        let bias = self.bias.chunk(chunk);
        let factor = self.factor.chunk(chunk);
        for ((value, bias), factor) in products.iter_mut().zip(bias).zip(factor) {
            *value = (*value + bias) * factor;
        }
    }
}
