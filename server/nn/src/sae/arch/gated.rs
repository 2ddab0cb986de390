//! The gated SAE: `f = 1[x W_enc + b_gate > 0] · relu(x (W_enc · e^{r_mag}) + b_mag)`.
//!
//! Both paths share `x W_enc`, since `e^{r_mag}` scales whole columns: one product serves the gate and the magnitude.
//!
//! Source: Rajamanoharan et al., "Improving Dictionary Learning with Gated Sparse Autoencoders" (2024), equations 6 and 7;
//! SAELens `gated_sae.py`, `GatedSAE.encode`.

use super::{ActivationRule, LANES, LatentVector};

/// A gate that decides, and a magnitude that says how strongly.
#[derive(Clone, Debug)]
pub(crate) struct Gated {
    /// `b_gate`, `[d_sae]`.
    pub(crate) gate_bias: LatentVector,
    /// `e^{r_mag}`, `[d_sae]`.
    pub(crate) magnitude_scale: LatentVector,
    /// `b_mag`, `[d_sae]`.
    pub(crate) magnitude_bias: LatentVector,
}

impl Gated {
    /// The rule for `latents` alone.
    pub(crate) fn subset(&self, latents: &[u32]) -> Self {
        Self {
            gate_bias: self.gate_bias.pick(latents),
            magnitude_scale: self.magnitude_scale.pick(latents),
            magnitude_bias: self.magnitude_bias.pick(latents),
        }
    }
}

impl ActivationRule for Gated {
    #[inline(always)]
    fn activate(&self, chunk: usize, products: &mut [f32; LANES]) {
        let gate = self.gate_bias.chunk(chunk);
        let scale = self.magnitude_scale.chunk(chunk);
        let bias = self.magnitude_bias.chunk(chunk);
        for (((value, gate), scale), bias) in products.iter_mut().zip(gate).zip(scale).zip(bias) {
            let product = *value;
            let magnitude = product * scale + bias;
            *value = if product + gate > 0.0 { magnitude } else { 0.0 };
        }
    }
}
