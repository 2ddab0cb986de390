//! The way back from latents to dense vectors: `x̂ = Σ fᵢ · W_dec_i + b_dec`, divided by `‖W_dec_i‖` where the SAE rescales by
//! decoder norm.
//!
//! The decoder works on the host, also where the encoder works on another device: a token needs only the rows of the
//! latents that fire on it, some thirty of thousands, and the same bits come out wherever it runs.
//!
//! Source: SAELens `sae.py` and `topk_sae.py`, `decode` and `act_times_W_dec`.

use latentd_domain::{Scale, SparseActivations};
use rayon::prelude::*;

use super::LatentVector;
use crate::error::ComputeError;

/// The decoder of one SAE.
#[derive(Debug)]
pub(crate) struct Decoder {
    d_in: usize,
    /// `W_dec`, `[d_sae, d_in]`, row-major.
    weights: Vec<f32>,
    /// `b_dec`, `[d_in]`.
    bias: Vec<f32>,
    /// `‖W_dec_i‖`, `[d_sae]`.
    norms: LatentVector,
    /// Activations already carry the decoder's norm.
    rescaled: bool,
}

impl Decoder {
    /// A decoder from `weights` of the shape `[d_sae, bias.len()]`.
    pub(crate) fn new(weights: Vec<f32>, bias: Vec<f32>, rescaled: bool) -> Self {
        let d_in = bias.len();
        let norms: Vec<f32> = weights
            .par_chunks_exact(d_in.max(1))
            .map(euclidean_norm)
            .collect();
        let norms = norms.into();
        Self {
            d_in,
            weights,
            bias,
            norms,
            rescaled,
        }
    }

    /// Number of latents.
    pub(crate) fn d_sae(&self) -> usize {
        self.norms.latents()
    }

    /// `‖W_dec_i‖` of every latent, `[d_sae]`.
    pub(crate) fn norms(&self) -> &[f32] {
        self.norms.values()
    }

    /// Row of `latent`, `[d_in]`; empty if there is no such latent.
    pub(crate) fn row(&self, latent: usize) -> &[f32] {
        self.weights
            .get(latent * self.d_in..(latent + 1) * self.d_in)
            .unwrap_or_default()
    }

    /// Bytes of its weights.
    pub(crate) fn bytes(&self) -> usize {
        (self.weights.len() + self.bias.len() + self.d_sae()) * size_of::<f32>()
    }

    /// What [`Scale::DecoderNorm`] multiplies activations by, `[d_sae]`; `None` where that is 1 for every latent, because an SAE
    /// that rescales by decoder norm decodes with rows of norm 1.
    pub(crate) fn scale_factors(&self, scale: Scale) -> Option<&LatentVector> {
        match scale {
            Scale::DecoderNorm if !self.rescaled => Some(&self.norms),
            Scale::DecoderNorm | Scale::Raw => None,
        }
    }

    /// Dense vectors of sparse rows, `[rows, d_in]`, row-major, in the space of the SAE's normalised input.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownLatent`] if a latent is not below `d_sae`; [`ComputeError::Failed`] if the arrays do not fit together.
    pub(crate) fn decode(
        &self,
        activations: &SparseActivations,
        scale: Scale,
    ) -> Result<Vec<f32>, ComputeError> {
        activations.check().map_err(|error| ComputeError::Failed {
            detail: error.to_string(),
        })?;
        let unknown = activations
            .latents
            .iter()
            .find(|&&latent| latent as usize >= self.d_sae());
        if let Some(&latent) = unknown {
            return Err(ComputeError::UnknownLatent {
                latent,
                d_sae: self.d_sae(),
            });
        }
        let mut out = vec![0.0; activations.rows() * self.d_in];
        out.par_chunks_exact_mut(self.d_in.max(1))
            .enumerate()
            .for_each(|(row, out)| {
                out.copy_from_slice(&self.bias);
                let (latents, values) = activations.row(row);
                for (&latent, &value) in latents.iter().zip(values) {
                    add_scaled(
                        out,
                        self.row(latent as usize),
                        value * self.back(latent as usize, scale),
                    );
                }
            });
        Ok(out)
    }

    /// What an activation of `latent` is multiplied by on its way back. A latent whose row is zero decodes to zero.
    fn back(&self, latent: usize, scale: Scale) -> f32 {
        let norm = self.norms.get(latent).unwrap_or_default();
        match (self.rescaled, scale) {
            (false, Scale::Raw) => 1.0,
            (true, _) | (false, Scale::DecoderNorm) if norm > 0.0 => norm.recip(),
            (true, _) | (false, Scale::DecoderNorm) => 0.0,
        }
    }
}

/// `out += row · factor`.
fn add_scaled(out: &mut [f32], row: &[f32], factor: f32) {
    for (out, weight) in out.iter_mut().zip(row) {
        *out += weight * factor;
    }
}

/// The Euclidean norm, summed in f64 so that it does not depend on the order.
pub(crate) fn euclidean_norm(values: &[f32]) -> f32 {
    values
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_row(entries: &[(u32, f32)]) -> SparseActivations {
        let mut out = SparseActivations::default();
        for &(latent, value) in entries {
            out.push(latent, value);
        }
        out.end_row();
        out
    }

    #[test]
    fn decode_adds_rows_to_the_bias() {
        let decoder = Decoder::new(vec![3.0, 4.0, 0.0, 2.0], vec![1.0, 1.0], false);
        assert_eq!(decoder.norms(), [5.0, 2.0]);
        let rows = one_row(&[(0, 1.0), (1, 2.0)]);
        assert_eq!(decoder.decode(&rows, Scale::Raw).unwrap(), [4.0, 9.0]);
        let scaled = one_row(&[(0, 5.0), (1, 4.0)]);
        assert_eq!(
            decoder.decode(&scaled, Scale::DecoderNorm).unwrap(),
            [4.0, 9.0]
        );
    }

    #[test]
    fn a_rescaled_decoder_has_rows_of_norm_one() {
        let decoder = Decoder::new(vec![3.0, 4.0, 0.0, 0.0], vec![0.0, 0.0], true);
        assert!(decoder.scale_factors(Scale::DecoderNorm).is_none());
        let rows = one_row(&[(0, 5.0), (1, 4.0)]);
        for scale in [Scale::Raw, Scale::DecoderNorm] {
            assert_eq!(decoder.decode(&rows, scale).unwrap(), [3.0, 4.0]);
        }
    }

    #[test]
    fn unknown_latents_are_refused() {
        let decoder = Decoder::new(vec![1.0, 0.0], vec![0.0, 0.0], false);
        assert_eq!(
            decoder.decode(&one_row(&[(1, 1.0)]), Scale::Raw),
            Err(ComputeError::UnknownLatent {
                latent: 1,
                d_sae: 1
            })
        );
    }
}
