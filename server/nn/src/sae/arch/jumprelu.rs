//! The JumpReLU SAE: with `h = x W_enc + b_enc`, `f = relu(h) · 1[h > threshold]`, strictly above.
//!
//! BatchTopK and Matryoshka BatchTopK SAEs are this at inference: one threshold for all latents stands for the choice
//! among the batch.
//!
//! Source: Rajamanoharan et al., "Jumping Ahead" (2024), equation 3; Bussmann et al., "BatchTopK Sparse Autoencoders" (2024);
//! SAELens `jumprelu_sae.py`, `JumpReLUSAE.encode`.

use super::{ActivationRule, LANES, LatentVector};

/// The product plus a bias, where that is above the latent's threshold.
#[derive(Clone, Debug)]
pub(crate) struct JumpRelu {
    /// `b_enc`, `[d_sae]`.
    pub(crate) bias: LatentVector,
    /// `threshold`, `[d_sae]`; one below 0 acts as 0.
    pub(crate) threshold: LatentVector,
}

impl JumpRelu {
    /// The rule for `latents` alone.
    pub(crate) fn subset(&self, latents: &[u32]) -> Self {
        Self {
            bias: self.bias.pick(latents),
            threshold: self.threshold.pick(latents),
        }
    }
}

impl ActivationRule for JumpRelu {
    #[inline(always)]
    fn activate(&self, chunk: usize, products: &mut [f32; LANES]) {
        let bias = self.bias.chunk(chunk);
        let threshold = self.threshold.chunk(chunk);
        for ((value, bias), threshold) in products.iter_mut().zip(bias).zip(threshold) {
            let h = *value + bias;
            *value = if h > *threshold { h } else { 0.0 };
        }
    }
}
