//! The encoder on the CPU: blocks of rows and segments of latents over the threads, and in each of them tile after tile with a
//! running selection.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Keep,
    finish::Block,
    select::{Candidates, Collector, Firing, Strongest},
};
use crate::{
    device::Device,
    error::ComputeError,
    kernels::cpu::{Epilogue, Layout, PackedMatrix, PackedRows},
    sae::{ActivationRule, Rule},
};

/// Rows of a block, at most: a multiple of what the matrix kernel takes at once. More rows read the weights less often; these
/// keep the rows, a panel of weights and the scratch in the second-level cache.
const BLOCK_ROWS: usize = 96;

/// Panels of columns that are computed before their rows are looked through: 96 rows × 64 columns × 4 bytes fit the first-level
/// cache beside the strips.
const TILE_PANELS: usize = 2;

/// Tasks for each thread, at least, so that a slow one does not hold up the rest.
const TASKS_A_THREAD: usize = 4;

/// Tiles that a segment of latents has, at least: fewer are not worth a task.
const LEAST_TILES: usize = 4;

/// `W_enc`, packed for the matrix kernel.
#[derive(Debug)]
pub(super) struct Columns {
    weights: PackedMatrix,
    threads: usize,
}

impl Columns {
    /// Packs `weights`, `[d_in, d_sae]`, row-major.
    pub(super) fn new(weights: &[f32], d_in: usize, d_sae: usize, device: &Device) -> Self {
        let weights = PackedMatrix::pack(weights, d_in, d_sae, Layout::InOut);
        Self { weights, threads: device.threads() }
    }

    /// The columns of `latents` alone.
    pub(super) fn subset(&self, latents: &[u32]) -> Self {
        Self { weights: self.weights.select(latents), threads: self.threads }
    }

    /// Column `latent`, `[d_in]`.
    pub(super) fn column(&self, latent: u32) -> Vec<f32> {
        self.weights.column(latent as usize).collect()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// What `keep` says of each row of `inputs`, `[rows, d_in]`, in blocks of rows.
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on a device that can run out of memory")]
    pub(super) fn candidates(
        &self,
        rule: &Rule,
        inputs: &[f32],
        rows: usize,
        (keep, factors): (Keep, Option<&[f32]>),
    ) -> Result<Vec<Block>, ComputeError> {
        let pass = Pass { weights: &self.weights, inputs, factors, keep, arch: Arch::new() };
        let cut = Cut::new(rows, self.weights.panels(), self.threads);
        Ok(match rule {
            Rule::Standard(rule) => pass.run(rule, &cut),
            Rule::Gated(rule) => pass.run(rule, &cut),
            Rule::JumpRelu(rule) => pass.run(rule, &cut),
            Rule::TopK(rule) => pass.run(rule, &cut),
        })
    }
}

/// How rows and latents are cut into tasks: every block of rows meets every segment of latents once.
#[derive(Debug, PartialEq)]
struct Cut {
    rows: usize,
    block_rows: usize,
    panels: usize,
    segment_panels: usize,
}

impl Cut {
    /// Blocks as large as they may be; segments only where there are too few blocks for the threads.
    fn new(rows: usize, panels: usize, threads: usize) -> Self {
        let blocks = rows.div_ceil(BLOCK_ROWS).max(1);
        let segments = if threads == 1 { 1 } else { (TASKS_A_THREAD * threads).div_ceil(blocks) };
        let least = TILE_PANELS * LEAST_TILES;
        let segment_panels = panels.div_ceil(segments).max(least).next_multiple_of(TILE_PANELS);
        Self { rows, block_rows: rows.div_ceil(blocks).max(1), panels, segment_panels }
    }

    fn blocks(&self) -> usize {
        self.rows.div_ceil(self.block_rows)
    }

    fn segments(&self) -> usize {
        self.panels.div_ceil(self.segment_panels)
    }
}

/// One call's work, apart from the rule.
struct Pass<'a> {
    weights: &'a PackedMatrix,
    inputs: &'a [f32],
    factors: Option<&'a [f32]>,
    keep: Keep,
    arch: Arch,
}

impl Pass<'_> {
    fn run<R: ActivationRule>(&self, rule: &R, cut: &Cut) -> Vec<Block> {
        let d_in = self.weights.k();
        let segments = cut.segments();
        let candidates: Vec<Candidates> = (0..cut.blocks() * segments)
            .into_par_iter()
            .with_max_len(1)
            .map(|task| {
                let (block, segment) = (task / segments, task % segments);
                let start = block * cut.block_rows;
                let end = (start + cut.block_rows).min(cut.rows);
                let inputs = self.inputs.get(start * d_in..end * d_in).unwrap_or_default();
                let first = segment * cut.segment_panels;
                let panels = first..(first + cut.segment_panels).min(cut.panels);
                let latents = panels.len() * PackedMatrix::PANEL;
                match self.keep {
                    Keep::Firing => self.segment(rule, inputs, panels, Firing::new(end - start)),
                    Keep::Strongest(k) => {
                        self.segment(rule, inputs, panels, Strongest::new(end - start, k, latents))
                    }
                }
            })
            .collect();
        let mut candidates = candidates.into_iter();
        (0..cut.blocks())
            .map(|block| Block {
                rows: cut.block_rows.min(cut.rows - block * cut.block_rows),
                segments: candidates.by_ref().take(segments).collect(),
            })
            .collect()
    }

    /// One task: some rows and some panels, on the calling thread.
    fn segment<R: ActivationRule, C: Collector>(
        &self,
        rule: &R,
        inputs: &[f32],
        panels: std::ops::Range<usize>,
        mut collector: C,
    ) -> Candidates {
        let mut rows = PackedRows::default();
        rows.pack(inputs, self.weights.k());
        let mut scratch = vec![0.0; rows.rows() * TILE_PANELS * PackedMatrix::PANEL];
        for first in panels.clone().step_by(TILE_PANELS) {
            let tile = first..(first + TILE_PANELS).min(panels.end);
            let columns = self.weights.tile(&rows, tile, Epilogue::default(), &mut scratch);
            let products = scratch.get_mut(..rows.rows() * columns.len()).unwrap_or_default();
            self.arch.dispatch(Scan {
                rule,
                factors: self.factors,
                first: columns.start,
                width: columns.len(),
                products,
                collector: &mut collector,
            });
        }
        collector.finish()
    }
}

/// Looks one tile of products through: applies the rule, and offers what exceeds the row's threshold.
struct Scan<'a, R, C> {
    rule: &'a R,
    factors: Option<&'a [f32]>,
    /// Latent of the first column.
    first: usize,
    /// Columns of the tile.
    width: usize,
    /// `[rows, width]`.
    products: &'a mut [f32],
    collector: &'a mut C,
}

impl<R: ActivationRule, C: Collector> WithSimd for Scan<'_, R, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rule, factors, first, width, products, collector } = self;
        for (row, values) in products.chunks_exact_mut(width).enumerate() {
            rule.activate(first, values);
            if let Some(factors) = factors.and_then(|factors| factors.get(first..first + width)) {
                for (value, factor) in values.iter_mut().zip(factors) {
                    *value *= factor;
                }
            }
            let (vectors, rest) = S::as_simd_f32s(values);
            let mut latent = first;
            for (vector, lanes) in vectors.iter().zip(values.chunks_exact(S::F32_LANES)) {
                let threshold = simd.splat_f32s(collector.threshold(row));
                let above = simd.greater_than_f32s(*vector, threshold);
                if simd.first_true_m32s(above) < S::F32_LANES {
                    offer(collector, row, latent, lanes);
                }
                latent += S::F32_LANES;
            }
            offer(collector, row, latent, rest);
        }
    }
}

/// Offers those of `activations`, of the latents from `first` on, that exceed the threshold of `row`.
#[inline(always)]
fn offer<C: Collector>(collector: &mut C, row: usize, first: usize, activations: &[f32]) {
    for (latent, &activation) in (first..).zip(activations) {
        if activation > collector.threshold(row) {
            collector.offer(row, latent as u32, activation);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cut_covers_everything_once(rows in 1usize..3000, panels in 1usize..700, threads in 1usize..70) {
            let cut = Cut::new(rows, panels, threads);
            prop_assert!(cut.block_rows <= BLOCK_ROWS);
            prop_assert!((cut.blocks() - 1) * cut.block_rows < rows && rows <= cut.blocks() * cut.block_rows);
            prop_assert!((cut.segments() - 1) * cut.segment_panels < panels);
            prop_assert!(panels <= cut.segments() * cut.segment_panels);
            prop_assert!(cut.segment_panels.is_multiple_of(TILE_PANELS));
        }
    }
}
