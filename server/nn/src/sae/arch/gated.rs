//! The gated SAE: `f = 1[x W_enc + b_gate > 0] · relu(x (W_enc · e^{r_mag}) + b_mag)`.
//!
//! Both paths share `x W_enc`, since `e^{r_mag}` scales whole columns: one product serves the gate and the magnitude.
//!
//! Source: Rajamanoharan et al., "Improving Dictionary Learning with Gated Sparse Autoencoders" (2024), equations 6 and 7;
//! SAELens `gated_sae.py`, `GatedSAE.encode`.

use super::{ActivationRule, pick, span};

/// A gate that decides, and a magnitude that says how strongly.
#[derive(Clone, Debug)]
pub(crate) struct Gated {
    /// `b_gate`, `[d_sae]`.
    pub(crate) gate_bias: Vec<f32>,
    /// `e^{r_mag}`, `[d_sae]`.
    pub(crate) magnitude_scale: Vec<f32>,
    /// `b_mag`, `[d_sae]`.
    pub(crate) magnitude_bias: Vec<f32>,
}

impl Gated {
    /// The rule for `latents` alone.
    pub(crate) fn subset(&self, latents: &[u32]) -> Self {
        Self {
            gate_bias: pick(&self.gate_bias, latents),
            magnitude_scale: pick(&self.magnitude_scale, latents),
            magnitude_bias: pick(&self.magnitude_bias, latents),
        }
    }
}

impl ActivationRule for Gated {
    #[inline(always)]
    fn activate(&self, first: usize, products: &mut [f32]) {
        let gate = span(&self.gate_bias, first, products.len());
        let scale = span(&self.magnitude_scale, first, products.len());
        let bias = span(&self.magnitude_bias, first, products.len());
        for (((value, gate), scale), bias) in products.iter_mut().zip(gate).zip(scale).zip(bias) {
            let product = *value;
            let magnitude = product * scale + bias;
            *value = if product + gate > 0.0 { magnitude } else { 0.0 };
        }
    }
}
