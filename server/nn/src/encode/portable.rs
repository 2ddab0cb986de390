//! The encoder through burn's operations, for devices without kernels of our own: products, rule and a first selection on the
//! device, the exact rest on the host.
//!
//! A tile is some thousands of latents wide: `[rows, 4 096]` is the most that exists at once. The device reduces it to the `k`
//! strongest of each row and to counts that tell whether those are all that matters. Where they are not (a tie at the edge, or
//! more latents firing than it pays to select), the tile is copied whole and looked through on the host; so the result is
//! exact either way. Index order among ties is the host's doing: the device's own is not defined.

use std::ops::Range;

use burn::tensor::{Int, TensorData};

use super::{
    Choice, Compared, Keep,
    finish::Block,
    select::{Candidates, Collector, Firing, Strongest},
};
use crate::{
    device::{Backend, Device, Tensor, host_view},
    error::ComputeError,
    sae::{LatentVector, Rule},
};

/// Latents of a tile.
const TILE: usize = 4096;

/// Most latents of a row that the device selects; the selection keeps them in registers.
const MOST_SELECTED: usize = 64;

/// `W_enc` on the device.
#[derive(Debug)]
pub(super) struct Columns {
    /// `[d_in, latents]`.
    weights: Tensor<2>,
    device: Device,
}

impl Columns {
    /// Copies `weights`, `[d_in, d_sae]`, row-major, to the device.
    pub(super) fn new(weights: &[f32], d_in: usize, d_sae: usize, device: &Device) -> Self {
        let weights = device.from_host(weights.to_vec(), [d_in, d_sae]);
        Self {
            weights,
            device: device.clone(),
        }
    }

    /// The columns of `latents` alone.
    pub(super) fn subset(&self, latents: &[u32]) -> Self {
        let numbers: Vec<i32> = latents.iter().map(|&latent| latent as i32).collect();
        let numbers = TensorData::new(numbers, [latents.len()]);
        let numbers =
            burn::tensor::Tensor::<Backend, 1, Int>::from_data(numbers, &self.weights.device());
        Self {
            weights: self.weights.clone().select(1, numbers),
            device: self.device.clone(),
        }
    }

    /// Column `latent`, `[d_in]`.
    pub(super) fn column(&self, latent: u32) -> Vec<f32> {
        let [d_in, _] = self.weights.dims();
        let latent = latent as usize;
        self.device
            .to_host(self.weights.clone().slice([0..d_in, latent..latent + 1]))
    }

    /// Every column beside `direction`, `[d_in]`, tile by tile.
    pub(super) fn compare(&self, direction: &[f32]) -> Vec<Compared> {
        let [d_in, latents] = self.weights.dims();
        let direction = self.device.from_host(direction.to_vec(), [1, d_in]);
        let tile = |first: usize| {
            let columns = first..(first + TILE).min(latents);
            let weights = self.weights.clone().slice([0..d_in, columns]);
            let products = direction.clone().matmul(weights.clone());
            let squares = (weights.clone() * weights).sum_dim(0);
            let products = self.device.to_host(products).into_iter();
            products
                .zip(self.device.to_host(squares))
                .map(|(product, square)| Compared { product, square })
        };
        (0..latents).step_by(TILE).flat_map(tile).collect()
    }

    /// Bytes on the device.
    pub(super) fn bytes(&self) -> usize {
        self.weights.dims().iter().product::<usize>() * size_of::<f32>()
    }

    /// What `choice` says of each row of `inputs`, `[rows, d_in]`: one block, its segments the tiles.
    pub(super) fn candidates(
        &self,
        rule: &Rule,
        inputs: &[f32],
        rows: usize,
        Choice {
            keep,
            factors,
            budget,
        }: Choice<'_>,
    ) -> Result<Vec<Block>, ComputeError> {
        let [d_in, latents] = self.weights.dims();
        if rows == 0 {
            return Ok(Vec::new());
        }
        let inputs = self.device.from_host(inputs.to_vec(), [rows, d_in]);
        let segments = (0..latents)
            .step_by(TILE)
            .map(|first| {
                let tile = first..(first + TILE).min(latents);
                let weights = self.weights.clone().slice([0..d_in, tile.clone()]);
                let mut values = self.activate(rule, &tile, inputs.clone().matmul(weights));
                if let Some(factors) = factors {
                    values = values * self.row(factors, &tile);
                }
                let found = select(&values, &tile, keep);
                if keep == Keep::Firing && !budget.take(found.entries()) {
                    budget.check()?;
                }
                Ok(found)
            })
            .collect::<Result<_, ComputeError>>()?;
        Ok(vec![Block { rows, segments }])
    }

    /// The activations of the latents `tile` from their products: 0 where a latent does not fire.
    fn activate(&self, rule: &Rule, tile: &Range<usize>, products: Tensor<2>) -> Tensor<2> {
        let row = |vector| self.row(vector, tile);
        let shape = products.dims();
        match rule {
            Rule::Standard(rule) => products + row(&rule.bias),
            Rule::JumpRelu(rule) => {
                let h = products + row(&rule.bias);
                let shut = h.clone().lower_equal(row(&rule.threshold).expand(shape));
                h.mask_fill(shut, 0.0)
            }
            Rule::Gated(rule) => {
                let shut = (products.clone() + row(&rule.gate_bias)).lower_equal_elem(0.0);
                let magnitude = products * row(&rule.magnitude_scale) + row(&rule.magnitude_bias);
                magnitude.mask_fill(shut, 0.0)
            }
            Rule::TopK(rule) => (products + row(&rule.bias)) * row(&rule.factor),
        }
        .clamp_min(0.0)
    }

    /// The numbers of the latents `tile`, `[1, tile]`.
    fn row(&self, vector: &LatentVector, tile: &Range<usize>) -> Tensor<2> {
        let values = vector
            .values()
            .get(tile.clone())
            .unwrap_or_default()
            .to_vec();
        self.device.from_host(values, [1, tile.len()])
    }
}

/// What `keep` says of the activations of `tile`, `[rows, tile]`, each 0 or above.
fn select(activations: &Tensor<2>, tile: &Range<usize>, keep: Keep) -> Candidates {
    let [rows, width] = activations.dims();
    let firing = counts(activations.clone().greater_elem(0.0).int());
    let most = firing.iter().copied().max().unwrap_or_default();
    let wanted = match keep {
        Keep::Firing => most,
        Keep::Strongest(k) => most.min(k),
    };
    if wanted == 0 {
        return Firing::new(rows).finish();
    }
    if wanted <= MOST_SELECTED && wanted < width {
        let (values, columns) = strongest(activations, wanted);
        let edge = values.clone().slice([0..rows, wanted - 1..wanted]);
        let at_edge = activations
            .clone()
            .greater_equal(edge.expand([rows, width]))
            .int();
        // An edge of 0 counts every latent of the row, and is none: all that fires was selected.
        let counts = counts(at_edge);
        let whole = counts
            .iter()
            .zip(&firing)
            .all(|(&edge, &firing)| edge <= wanted || firing <= wanted);
        if whole {
            let entries = entries(host_view(&values).values(), &columns, wanted);
            return gather(entries, (rows, width), tile, keep);
        }
    }
    let view = host_view(activations);
    let entries = view
        .values()
        .chunks_exact(width)
        .map(|row| (0..).zip(row.iter().copied()).collect());
    gather(entries.collect(), (rows, width), tile, keep)
}

/// Columns and activations of each row, by ascending column.
fn entries(values: &[f32], columns: &[u32], width: usize) -> Vec<Vec<(u32, f32)>> {
    let rows = values.chunks_exact(width).zip(columns.chunks_exact(width));
    rows.map(|(values, columns)| {
        let mut row: Vec<_> = columns
            .iter()
            .copied()
            .zip(values.iter().copied())
            .collect();
        row.sort_unstable_by_key(|(column, _)| *column);
        row
    })
    .collect()
}

/// Puts the entries of each row through the host's collectors.
fn gather(
    entries: Vec<Vec<(u32, f32)>>,
    (rows, width): (usize, usize),
    tile: &Range<usize>,
    keep: Keep,
) -> Candidates {
    fn run(mut collector: impl Collector, entries: Vec<Vec<(u32, f32)>>, first: u32) -> Candidates {
        for (row, entries) in entries.into_iter().enumerate() {
            for (column, activation) in entries {
                if activation > collector.threshold(row) {
                    collector.offer(row, first + column, activation);
                }
            }
        }
        collector.finish()
    }
    let first = tile.start as u32;
    match keep {
        Keep::Firing => run(Firing::new(rows), entries, first),
        Keep::Strongest(k) => run(Strongest::new(rows, k, width), entries, first),
    }
}

/// Sums of the rows of zeros and ones.
fn counts(flags: burn::tensor::Tensor<Backend, 2, Int>) -> Vec<usize> {
    flags
        .sum_dim(1)
        .into_data()
        .iter::<i64>()
        .map(|count| count as usize)
        .collect()
}

/// The strongest `k` activations of each row, falling, and their columns; `k` is below the number of columns.
#[cfg(feature = "cuda")]
fn strongest(activations: &Tensor<2>, k: usize) -> (Tensor<2>, Vec<u32>) {
    let columns = activations.clone().argtopk(k, 1);
    let values = activations.clone().gather(1, columns.clone());
    (
        values,
        columns
            .into_data()
            .iter::<i64>()
            .map(|column| column as u32)
            .collect(),
    )
}

/// The same where burn has no `argtopk`.
#[cfg(not(feature = "cuda"))]
fn strongest(activations: &Tensor<2>, k: usize) -> (Tensor<2>, Vec<u32>) {
    let (values, columns) = activations.clone().topk_with_indices(k, 1);
    (
        values,
        columns
            .into_data()
            .iter::<i64>()
            .map(|column| column as u32)
            .collect(),
    )
}
