//! What can be said of one latent from the weights alone: its norms, the tokens it promotes, the latents nearest to it.

use rayon::prelude::*;

use super::{Sae, arch::decoder::euclidean_norm};
use crate::{device::host_view, error::ComputeError, model::Model};

/// Decoder rows that one thread compares at a time.
const ROWS_A_BLOCK: usize = 256;

/// Which weights tell how near two latents are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What a latent reads: columns of the encoder.
    Encoder,
    /// What a latent writes: rows of the decoder.
    Decoder,
}

/// How many entries of each list a report has; a list that is not asked for costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatentLists {
    /// Tokens at each end of the logits.
    pub logits: usize,
    /// Latents with the nearest encoder columns.
    pub encoder: usize,
    /// Latents with the nearest decoder rows.
    pub decoder: usize,
}

/// One latent, described.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentReport {
    /// Its index.
    pub latent: u32,
    /// Euclidean norm of its encoder column.
    pub encoder_norm: f32,
    /// Euclidean norm of its decoder row.
    pub decoder_norm: f32,
    /// Cosine between the two; `None` if one of them is zero.
    pub encoder_decoder_cosine: Option<f32>,
    /// Bias of its pre-activation; of a gated SAE, of its gate.
    pub encoder_bias: f32,
    /// Threshold of a JumpReLU.
    pub threshold: Option<f32>,
    /// Token ids and logits that the decoder row raises most, strongest first; empty unless the site lies in the residual
    /// stream's space.
    pub top_logits: Vec<(u32, f32)>,
    /// Token ids and logits that it lowers most, lowest first.
    pub bottom_logits: Vec<(u32, f32)>,
    /// Latents with the nearest decoder rows and the cosines, nearest first; itself left out.
    pub neighbours: Vec<(u32, f32)>,
    /// Latents with the nearest encoder columns and the cosines, nearest first; itself left out.
    pub encoder_neighbours: Vec<(u32, f32)>,
}

impl Sae {
    /// Describes `latent`, with lists of at most so many entries as `lists` says.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownLatent`] if `latent` is not below `d_sae`.
    pub fn latent(
        &self,
        model: &Model,
        latent: u32,
        lists: LatentLists,
    ) -> Result<LatentReport, ComputeError> {
        let index = latent as usize;
        if index >= self.info.d_sae {
            return Err(ComputeError::UnknownLatent {
                latent,
                d_sae: self.info.d_sae,
            });
        }
        let (column, row) = (self.encoder.column(latent), self.decoder.row(index));
        let encoder_norm = euclidean_norm(&column);
        let decoder_norm = self.decoder.norms().get(index).copied().unwrap_or_default();
        let rule = self.encoder.rule();
        let logits = if lists.logits > 0 && self.info.hook_point.site.is_residual_space() {
            let direction = self.device.from_host(row.to_vec(), [1, self.info.d_in]);
            host_view(&model.unembed(direction)).values().to_vec()
        } else {
            Vec::new()
        };
        Ok(LatentReport {
            latent,
            encoder_norm,
            decoder_norm,
            encoder_decoder_cosine: (encoder_norm * decoder_norm > 0.0)
                .then(|| cosine(dot(&column, row), encoder_norm * decoder_norm)),
            encoder_bias: rule.bias(index),
            threshold: rule.threshold(index),
            top_logits: greatest(logits.iter().copied(), lists.logits),
            bottom_logits: greatest(logits.iter().map(|logit| -logit), lists.logits)
                .into_iter()
                .map(|(id, logit)| (id, -logit))
                .collect(),
            neighbours: self.decoder_neighbours(index, lists.decoder),
            encoder_neighbours: self.encoder_neighbours(index, &column, lists.encoder),
        })
    }

    /// The latents whose decoder rows have the greatest cosine with that of `latent`: every row is compared, block by block.
    fn decoder_neighbours(&self, latent: usize, count: usize) -> Vec<(u32, f32)> {
        if count == 0 {
            return Vec::new();
        }
        let (row, norms) = (self.decoder.row(latent), self.decoder.norms());
        let norm = norms.get(latent).copied().unwrap_or_default();
        let cosines: Vec<f32> = self.device.install(|| {
            norms
                .par_iter()
                .with_min_len(ROWS_A_BLOCK)
                .enumerate()
                .map(|(other, other_norm)| {
                    cosine(dot(self.decoder.row(other), row), norm * other_norm)
                })
                .collect()
        });
        others(latent, cosines.into_iter(), count)
    }

    /// The latents whose encoder columns have the greatest cosine with `column`, that of `latent`.
    fn encoder_neighbours(&self, latent: usize, column: &[f32], count: usize) -> Vec<(u32, f32)> {
        if count == 0 {
            return Vec::new();
        }
        let compared = self.device.install(|| self.encoder.compare(column));
        // Its own entry is computed as all others are, so the cosine of two equal columns is 1 whatever the order of sums.
        let norm = compared.get(latent).map_or(0.0, |own| own.square.sqrt());
        let cosines = compared
            .iter()
            .map(|other| cosine(other.product, norm * other.square.sqrt()));
        others(latent, cosines, count)
    }
}

/// The `count` greatest of the others than `latent`.
fn others(latent: usize, cosines: impl Iterator<Item = f32>, count: usize) -> Vec<(u32, f32)> {
    let cosines = cosines.enumerate().map(|(other, cosine)| {
        if other == latent {
            f32::NEG_INFINITY
        } else {
            cosine
        }
    });
    let mut greatest = greatest(cosines, count);
    greatest.retain(|&(other, _)| other as usize != latent);
    greatest
}

/// The `count` greatest values with their positions, greatest first, equal ones by position.
fn greatest(values: impl Iterator<Item = f32>, count: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = values
        .enumerate()
        .map(|(i, value)| (i as u32, value))
        .collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if count > 0 && count < all.len() {
        all.select_nth_unstable_by(count - 1, order);
    }
    all.truncate(count);
    all.sort_unstable_by(order);
    all
}

fn cosine(product: f32, norms: f32) -> f32 {
    if norms > 0.0 {
        (product / norms).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// The dot product, in 16 partial sums.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greatest_breaks_ties_by_position() {
        let values = [1.0, 3.0, -2.0, 3.0, 0.5];
        assert_eq!(
            greatest(values.into_iter(), 3),
            [(1, 3.0), (3, 3.0), (0, 1.0)]
        );
        assert_eq!(greatest(values.into_iter(), 0), []);
        assert_eq!(greatest(values.into_iter(), 9).len(), 5);
    }

    #[test]
    fn dot_is_that_of_the_definition() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(dot(&a, &a), (0..37).map(|i| (i * i) as f32).sum::<f32>());
        assert_eq!(cosine(1.0, 0.0), 0.0);
    }
}
