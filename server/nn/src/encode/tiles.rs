//! The encoder on the CPU: blocks of rows and segments of latents over the threads, and in each of them tile after tile with a
//! running selection.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Choice, Compared, Keep,
    finish::Block,
    select::{Candidates, Collector, Firing, Strongest},
};
use crate::{
    device::Device,
    error::ComputeError,
    kernels::cpu::{Epilogue, Layout, PackedMatrix, PackedRows},
    sae::{ActivationRule, LANES, LatentVector, Rule},
};

/// Rows of a block, at most: whole strips of the matrix kernel. More rows read the weights less often, and the scratch still
/// fits the first-level cache: 192 rows × 32 columns × 4 bytes.
const BLOCK_ROWS: usize = 192;

/// Bytes of inputs in a block, so that they stay in the second-level cache while the weights stream past.
const BLOCK_BYTES: usize = 512 << 10;

/// A block is not cut below this, however wide the inputs.
const LEAST_BLOCK_ROWS: usize = 48;

/// Columns that are computed before their rows are looked through: one panel, which is one chunk of the rules' vectors.
const _: () = assert!(PackedMatrix::PANEL == LANES, "a panel is a chunk");

/// Tasks for each thread, at least, so that a slow one does not hold up the rest.
const TASKS_A_THREAD: usize = 4;

/// Panels that a segment of latents has, at least: fewer are not worth a task.
const LEAST_PANELS: usize = 8;

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
        Self {
            weights,
            threads: device.threads(),
        }
    }

    /// The columns of `latents` alone.
    pub(super) fn subset(&self, latents: &[u32]) -> Self {
        Self {
            weights: self.weights.select(latents),
            threads: self.threads,
        }
    }

    /// Column `latent`, `[d_in]`.
    pub(super) fn column(&self, latent: u32) -> Vec<f32> {
        self.weights.column(latent as usize).collect()
    }

    /// Every column beside `direction`, `[d_in]`, panel by panel: the weights are read once, in their order.
    pub(super) fn compare(&self, direction: &[f32]) -> Vec<Compared> {
        let mut out: Vec<Compared> = (0..self.weights.panels())
            .into_par_iter()
            .with_min_len(LEAST_PANELS)
            .flat_map_iter(|panel| {
                let mut columns = [Compared::default(); LANES];
                let (rows, _) = self.weights.panel(panel).as_chunks::<LANES>();
                for (row, x) in rows.iter().zip(direction) {
                    for (column, weight) in columns.iter_mut().zip(row) {
                        column.product += weight * x;
                        column.square += weight * weight;
                    }
                }
                columns
            })
            .collect();
        // The last panel is padded.
        out.truncate(self.weights.n());
        out
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// What `choice` says of each row of `inputs`, `[rows, d_in]`, in blocks of rows.
    pub(super) fn candidates(
        &self,
        rule: &Rule,
        inputs: &[f32],
        rows: usize,
        choice: Choice<'_>,
    ) -> Result<Vec<Block>, ComputeError> {
        let pass = Pass {
            weights: &self.weights,
            inputs,
            choice,
            arch: Arch::new(),
        };
        let cut = Cut::new(
            rows,
            (self.weights.k(), self.weights.panels()),
            self.threads,
        );
        let blocks = match rule {
            Rule::Standard(rule) => pass.run(rule, &cut),
            Rule::Gated(rule) => pass.run(rule, &cut),
            Rule::JumpRelu(rule) => pass.run(rule, &cut),
            Rule::TopK(rule) => pass.run(rule, &cut),
        };
        choice.budget.check().map(|()| blocks)
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
    fn new(rows: usize, (d_in, panels): (usize, usize), threads: usize) -> Self {
        let most = (BLOCK_BYTES / (size_of::<f32>() * d_in)).clamp(LEAST_BLOCK_ROWS, BLOCK_ROWS);
        let mut blocks = rows.div_ceil(most).max(1);
        if blocks >= threads {
            // No thread is left with one block more than the others.
            blocks = blocks.next_multiple_of(threads);
        }
        let segments = if threads == 1 {
            1
        } else {
            (TASKS_A_THREAD * threads).div_ceil(blocks)
        };
        let segment_panels = panels.div_ceil(segments).max(LEAST_PANELS);
        Self {
            rows,
            block_rows: rows.div_ceil(blocks).max(1),
            panels,
            segment_panels,
        }
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
    choice: Choice<'a>,
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
                let inputs = self
                    .inputs
                    .get(start * d_in..end * d_in)
                    .unwrap_or_default();
                let first = segment * cut.segment_panels;
                let panels = first..(first + cut.segment_panels).min(cut.panels);
                let latents = panels.len() * PackedMatrix::PANEL;
                match self.choice.keep {
                    Keep::Firing => self.segment(rule, inputs, panels, Firing::new(end - start)),
                    Keep::Strongest(k) => self.segment(
                        rule,
                        inputs,
                        panels,
                        Strongest::new(end - start, k, latents),
                    ),
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
        panels: Range<usize>,
        mut collector: C,
    ) -> Candidates {
        let mut rows = PackedRows::default();
        rows.pack(inputs, self.weights.k());
        let mut scratch = vec![0.0; rows.rows() * PackedMatrix::PANEL];
        let mut counted = 0;
        for panel in panels {
            // Nobody has a use for the rest once the request is over its budget, here or in another task.
            if !self.choice.budget.take(collector.counted() - counted) {
                return Candidates::default();
            }
            counted = collector.counted();
            let tile = panel..panel + 1;
            let columns = self
                .weights
                .tile(&rows, tile, Epilogue::default(), &mut scratch);
            self.arch.dispatch(Scan {
                rule,
                factors: self.choice.factors,
                first: columns.start,
                width: columns.len(),
                products: scratch
                    .get(..rows.rows() * columns.len())
                    .unwrap_or_default(),
                collector: &mut collector,
            });
        }
        if !self.choice.budget.take(collector.counted() - counted) {
            return Candidates::default();
        }
        collector.finish()
    }
}

/// Looks one tile of products through: applies the rule, and offers what exceeds the row's threshold.
struct Scan<'a, R, C> {
    rule: &'a R,
    factors: Option<&'a LatentVector>,
    /// Latent of the first column.
    first: usize,
    /// Columns of the tile; fewer than a panel has at the end.
    width: usize,
    /// `[rows, width]`.
    products: &'a [f32],
    collector: &'a mut C,
}

impl<R: ActivationRule, C: Collector> WithSimd for Scan<'_, R, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            rule,
            factors,
            first,
            width,
            products,
            collector,
        } = self;
        let chunk = first / LANES;
        for (row, products) in products.chunks_exact(width).enumerate() {
            let Chunk(values) = &mut padded(products);
            rule.activate(chunk, values);
            if let Some(factors) = factors {
                for (value, factor) in values.iter_mut().zip(factors.chunk(chunk)) {
                    *value *= factor;
                }
            }
            if exceeds(simd, values, collector.threshold(row)) {
                offer(collector, row, first, values);
            }
        }
    }
}

/// A row of a tile, on a cache line of its own.
#[repr(align(64))]
struct Chunk([f32; LANES]);

/// A row of a tile as a whole chunk. What is filled up meets the NaN of the rule's vectors, and does not fire.
#[inline(always)]
fn padded(products: &[f32]) -> Chunk {
    Chunk(products.first_chunk().copied().unwrap_or_else(|| {
        let mut out = [0.0; LANES];
        out.iter_mut()
            .zip(products)
            .for_each(|(out, product)| *out = *product);
        out
    }))
}

/// Whether any value exceeds the threshold: two comparisons with AVX-512.
#[inline(always)]
fn exceeds<S: Simd>(simd: S, values: &[f32; LANES], threshold: f32) -> bool {
    let threshold = simd.splat_f32s(threshold);
    let (vectors, _) = S::as_simd_f32s(values);
    let none = simd.less_than_f32s(threshold, threshold);
    let above = vectors.iter().fold(none, |above, vector| {
        simd.or_m32s(above, simd.greater_than_f32s(*vector, threshold))
    });
    simd.first_true_m32s(above) < S::F32_LANES
}

/// Offers those of the activations of the latents `first ..` that exceed the threshold of `row`.
#[inline(always)]
fn offer<C: Collector>(collector: &mut C, row: usize, first: usize, activations: &[f32; LANES]) {
    let threshold = collector.threshold(row);
    let mut above = activations
        .iter()
        .enumerate()
        .fold(0u32, |above, (lane, activation)| {
            above | (u32::from(*activation > threshold) << lane)
        });
    while above != 0 {
        let lane = above.trailing_zeros();
        above &= above - 1;
        let activation = activations.get(lane as usize).copied().unwrap_or_default();
        // The threshold rises when the row's buffer is cut back.
        if activation > collector.threshold(row) {
            collector.offer(row, first as u32 + lane, activation);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cut_covers_everything_once(
            rows in 1usize..3000, panels in 1usize..700, threads in 1usize..70, d_in in 1usize..9000,
        ) {
            let cut = Cut::new(rows, (d_in, panels), threads);
            prop_assert!(cut.block_rows <= BLOCK_ROWS);
            prop_assert!((cut.blocks() - 1) * cut.block_rows < rows && rows <= cut.blocks() * cut.block_rows);
            prop_assert!((cut.segments() - 1) * cut.segment_panels < panels);
            prop_assert!(panels <= cut.segments() * cut.segment_panels);
        }
    }
}
