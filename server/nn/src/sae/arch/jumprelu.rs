//! The JumpReLU SAE: with `h = x W_enc + b_enc`, `f = relu(h) · 1[h > threshold]`, strictly above.
//!
//! BatchTopK and Matryoshka BatchTopK SAEs are this at inference: one threshold for all latents stands for the choice
//! among the batch.
//!
//! Source: Rajamanoharan et al., "Jumping Ahead" (2024), equation 3; Bussmann et al., "BatchTopK Sparse Autoencoders" (2024);
//! SAELens `jumprelu_sae.py`, `JumpReLUSAE.encode`.

use super::{ActivationRule, pick, span};

/// The product plus a bias, where that is above the latent's threshold.
#[derive(Clone, Debug)]
pub(crate) struct JumpRelu {
    /// `b_enc`, `[d_sae]`.
    pub(crate) bias: Vec<f32>,
    /// `threshold`, `[d_sae]`; one below 0 acts as 0.
    pub(crate) threshold: Vec<f32>,
}

impl JumpRelu {
    /// The rule for `latents` alone.
    pub(crate) fn subset(&self, latents: &[u32]) -> Self {
        Self { bias: pick(&self.bias, latents), threshold: pick(&self.threshold, latents) }
    }
}

impl ActivationRule for JumpRelu {
    #[inline(always)]
    fn activate(&self, first: usize, products: &mut [f32]) {
        let bias = span(&self.bias, first, products.len());
        let threshold = span(&self.threshold, first, products.len());
        for ((value, bias), threshold) in products.iter_mut().zip(bias).zip(threshold) {
            let h = *value + bias;
            *value = if h > *threshold { h } else { 0.0 };
        }
    }
}
