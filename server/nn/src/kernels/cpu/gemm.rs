//! Products of activations and weights in f32: `[m, k] · [k, n]`, the weights rearranged once when they are loaded.
//!
//! A [`PackedMatrix`] holds its columns in panels of 32, each contiguous over `k`, so that a product reads every weight once
//! and in order: with few rows the memory's bandwidth is the limit, and with many the multipliers are. Every element of a
//! result is one chain of fused multiply-adds over `k` in order. It does not depend on the other rows, on the split into
//! tasks or on the number of threads, so that results are bit for bit the same however requests are batched.
//!
//! # Consuming a product in cache
//!
//! [`PackedMatrix::matmul`] writes the whole product. Where it is only looked through (an SAE's pre-activations, of which
//! few survive), compute it piece by piece instead and let no piece leave the cache:
//!
//! ```
//! # use latentd_nn::kernels::cpu::{Epilogue, Layout, PackedMatrix, PackedRows};
//! # let (k, n, m) = (8, 100, 5);
//! # let w = PackedMatrix::pack(&vec![0.5; k * n], k, n, Layout::InOut);
//! # let x = vec![1.0; m * k];
//! // One task: a block of rows (48 is a good number) and a range of panels. Give each task its own `rows` and `scratch`.
//! let mut rows = PackedRows::default();
//! rows.pack(&x, k);
//! let panels_at_once = 4; // 48 rows × 128 columns × 4 bytes fit the first-level cache.
//! let mut scratch = vec![0.0; rows.rows() * panels_at_once * PackedMatrix::PANEL];
//! for first in (0..w.panels()).step_by(panels_at_once) {
//!     let panels = first..(first + panels_at_once).min(w.panels());
//!     let columns = w.tile(&rows, panels, Epilogue::default(), &mut scratch); // the columns of `W` it covered
//!     for row in scratch.chunks(columns.len()).take(rows.rows()) {
//!         // `row[i]` is the product in column `columns.start + i`: select here.
//!         assert!(row.iter().all(|&v| v == 4.0));
//!     }
//! }
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "bounds follow from the shapes that each entry point asserts"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    aligned::AlignedBuffer,
    epilogue::{Epilogue, HALF, Then},
    microkernel::{self, PANEL, Tile},
    rows::{PackedRows, STRIP},
};

/// Rows of a task where there are many: four strips, whose values stay in the second-level cache beside a panel.
const BLOCK_ROWS: usize = 4 * STRIP;
/// Up to so many rows, tasks share out the columns, so that each weight is read by one thread only.
const FEW_ROWS: usize = 256;
/// Multiplications below which a second thread costs more than it brings.
const SERIAL: usize = 1 << 17;

/// How a weight lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[k, n]` row-major: inputs by outputs, as GPT-2's `Conv1D` and SAELens' `W_enc`.
    InOut,
    /// `[n, k]` row-major: outputs by inputs, as PyTorch's `Linear`.
    OutIn,
}

/// A right factor `[k, n]`, rearranged into panels of columns.
#[derive(Debug)]
pub struct PackedMatrix {
    /// Panels, each `[k, PANEL]`; columns past `n` are zero.
    panels: AlignedBuffer,
    k: usize,
    /// Columns of the matrix. Of a gated one, both factors together, interleaved in halves of a panel.
    n: usize,
    gated: bool,
    arch: Arch,
}

impl PackedMatrix {
    /// Columns in a panel.
    pub const PANEL: usize = PANEL;

    /// Rearranges `weights`, a matrix `[k, n]` that lies as `layout` says.
    ///
    /// # Panics
    ///
    /// If `weights` does not have `k · n` values.
    pub fn pack(weights: &[f32], k: usize, n: usize, layout: Layout) -> Self {
        assert_eq!(weights.len(), k * n, "a matrix of {k} by {n}");
        let column = |column: usize| (column < n).then_some((weights, column));
        Self::from_columns(k, n, false, (layout, n), column)
    }

    /// Rearranges two matrices `[k, n]` for [`Then::SiluGate`]: each panel holds half a panel of either, so that gate and
    /// factor of one output meet in one tile.
    ///
    /// # Panics
    ///
    /// If either does not have `k · n` values.
    pub fn pack_gated(gate: &[f32], up: &[f32], k: usize, layout: Layout) -> Self {
        assert!(
            gate.len() == up.len() && gate.len().is_multiple_of(k),
            "two matrices of {k} rows"
        );
        let n = gate.len() / k;
        let column = |column: usize| {
            let (weights, column) = gated_source(gate, up, column);
            (column < n).then_some((weights, column))
        };
        Self::from_columns(k, 2 * n, true, (layout, n), column)
    }

    /// The bias of a gated matrix in the order of its columns.
    pub fn pack_gated_bias(gate: &[f32], up: &[f32]) -> Vec<f32> {
        let value = |column| {
            let (bias, column) = gated_source(gate, up, column);
            bias.get(column).copied().unwrap_or_default()
        };
        (0..gate.len().div_ceil(HALF) * PANEL).map(value).collect()
    }

    /// `source` gives, for a column of the panels, a matrix of `width` columns and the column of that.
    fn from_columns<'a>(
        k: usize,
        n: usize,
        gated: bool,
        (layout, width): (Layout, usize),
        source: impl Fn(usize) -> Option<(&'a [f32], usize)> + Sync,
    ) -> Self {
        let mut panels = AlignedBuffer::zeros(k * panel_count(n, gated) * PANEL);
        panels
            .values_mut()
            .par_chunks_mut((k * PANEL).max(1))
            .enumerate()
            .for_each(|(panel, values)| {
                let columns: [_; PANEL] = std::array::from_fn(|c| source(panel * PANEL + c));
                for (step, values) in values.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
                    for (value, column) in values.iter_mut().zip(&columns) {
                        if let Some((weights, column)) = column {
                            *value = match layout {
                                Layout::InOut => weights[step * width + column],
                                Layout::OutIn => weights[column * k + step],
                            };
                        }
                    }
                }
            });
        Self {
            panels,
            k,
            n,
            gated,
            arch: Arch::new(),
        }
    }

    /// The matrix of `columns` alone, in their order. Products with it have the same bits as those columns of products with
    /// the whole.
    ///
    /// # Panics
    ///
    /// If a column is not below [`PackedMatrix::n`], or the matrix is gated.
    #[must_use]
    pub fn select(&self, columns: &[u32]) -> Self {
        assert!(
            !self.gated,
            "columns of a gated matrix have no meaning alone"
        );
        let mut panels = AlignedBuffer::zeros(self.k * columns.len().div_ceil(PANEL) * PANEL);
        let chunks = panels.values_mut().par_chunks_mut((self.k * PANEL).max(1));
        chunks
            .zip(columns.par_chunks(PANEL))
            .for_each(|(values, columns)| {
                for (c, &column) in columns.iter().enumerate() {
                    for (values, weight) in values
                        .as_chunks_mut::<PANEL>()
                        .0
                        .iter_mut()
                        .zip(self.column(column as usize))
                    {
                        values[c] = weight;
                    }
                }
            });
        Self {
            panels,
            k: self.k,
            n: columns.len(),
            gated: false,
            arch: self.arch,
        }
    }

    /// The values of one column.
    ///
    /// # Panics
    ///
    /// If there is no such column.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(column < self.n, "column {column} of {}", self.n);
        self.panel(column / PANEL)
            .iter()
            .skip(column % PANEL)
            .step_by(PANEL)
            .copied()
    }

    /// Length of a row of the left factor.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of the product: of a gated matrix half of those it holds.
    pub fn n(&self) -> usize {
        if self.gated { self.n / 2 } else { self.n }
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        panel_count(self.n, self.gated)
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.panels.values())
    }

    /// `out = epilogue(x · W)` on the threads of the current rayon pool.
    ///
    /// # Shapes
    ///
    /// `x` `[m, k]` and `out` `[m, n]`, row-major; `m` is what `x` has.
    ///
    /// # Panics
    ///
    /// If the shapes do not agree.
    pub fn matmul(&self, x: &[f32], epilogue: Epilogue<'_>, out: &mut [f32]) {
        let (k, n) = (self.k, self.n());
        if x.is_empty() || n == 0 {
            assert!(out.is_empty(), "no product has no values");
            return;
        }
        let m = x.len() / k;
        assert!(
            x.len() == m * k && out.len() == m * n,
            "[{m}, {k}] · [{k}, {n}] into {} values",
            out.len()
        );
        self.check(epilogue);
        let panels = self.panels();
        if m * k * self.n < SERIAL {
            return self.block(
                x,
                0..panels,
                epilogue,
                &mut Contiguous {
                    values: out,
                    width: n,
                },
            );
        }
        let threads = rayon::current_num_threads();
        let block_rows = if m <= FEW_ROWS { m } else { BLOCK_ROWS };
        let blocks = m.div_ceil(block_rows);
        let groups = if blocks == 1 {
            threads
        } else {
            (2 * threads).div_ceil(blocks)
        };
        let per_group = panels.div_ceil(groups.min(panels));
        let inputs = x.par_chunks(block_rows * k);
        let outputs = out.par_chunks_mut(block_rows * n);
        if per_group == panels {
            inputs.zip(outputs).with_max_len(1).for_each(|(x, values)| {
                self.block(x, 0..panels, epilogue, &mut Contiguous { values, width: n });
            });
            return;
        }
        let columns = per_group * epilogue.then.columns_per_panel();
        let tasks: Vec<_> = inputs
            .zip(outputs)
            .flat_map_iter(|(x, out)| column_groups(x, out, n, columns))
            .collect();
        tasks
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(group, x, mut rows)| {
                let first = group * per_group;
                self.block(
                    x,
                    first..(first + per_group).min(panels),
                    epilogue,
                    &mut rows,
                );
            });
    }

    /// The product of `rows` and the columns of `panels`, on the calling thread, into the beginning of `out`: `[rows,
    /// columns]` row-major. Returns the columns of the output that it covered; their number is the width of `out`'s rows.
    ///
    /// # Panics
    ///
    /// If `out` is too short, if a panel does not exist, or if the rows have another length than [`PackedMatrix::k`].
    pub fn tile(
        &self,
        rows: &PackedRows,
        panels: Range<usize>,
        epilogue: Epilogue<'_>,
        out: &mut [f32],
    ) -> Range<usize> {
        assert_eq!(rows.k(), self.k, "length of a row");
        self.check(epilogue);
        let per_panel = epilogue.then.columns_per_panel();
        let columns = panels.start * per_panel..(panels.end * per_panel).min(self.n());
        let values = &mut out[..rows.rows() * columns.len()];
        self.run(
            rows,
            panels,
            epilogue,
            &mut Contiguous {
                values,
                width: columns.len(),
            },
        );
        columns
    }

    fn block(&self, x: &[f32], panels: Range<usize>, epilogue: Epilogue<'_>, out: &mut impl Rows) {
        let mut rows = PackedRows::default();
        rows.pack(x, self.k);
        self.run(&rows, panels, epilogue, out);
    }

    fn run(
        &self,
        rows: &PackedRows,
        panels: Range<usize>,
        epilogue: Epilogue<'_>,
        out: &mut impl Rows,
    ) {
        self.arch.dispatch(Block {
            matrix: self,
            rows,
            panels,
            epilogue,
            out,
        });
    }

    fn panel(&self, panel: usize) -> &[f32] {
        &self.panels.values()[panel * self.k * PANEL..(panel + 1) * self.k * PANEL]
    }

    fn check(&self, epilogue: Epilogue<'_>) {
        assert_eq!(
            self.gated,
            epilogue.then == Then::SiluGate,
            "gated matrices, and only they, have gates"
        );
    }
}

/// `out = x · tableᵀ`, for a table that is kept as rows because they are looked up more often than multiplied with. Its
/// columns are rearranged on the way, which costs little beside many rows of `x` and a pass over memory beside few.
///
/// # Shapes
///
/// `x` `[m, k]`, `table` `[n, k]`, `out` `[m, n]`, row-major.
pub(crate) fn matmul_rows(x: &[f32], table: &[f32], k: usize, out: &mut [f32]) {
    const PANELS_A_TASK: usize = 8;
    let n = table.len() / k;
    if x.is_empty() || n == 0 {
        return;
    }
    let columns = PANELS_A_TASK * PANEL;
    let mut rows = PackedRows::default();
    rows.pack(x, k);
    let tasks: Vec<_> = column_groups(&[], out, n, columns).collect();
    tasks
        .into_par_iter()
        .zip(table.par_chunks(columns * k))
        .with_max_len(1)
        .for_each(|((_, _, mut out), table)| {
            let packed = PackedMatrix::pack(table, k, table.len() / k, Layout::OutIn);
            packed.run(&rows, 0..packed.panels(), Epilogue::default(), &mut out);
        });
}

fn panel_count(n: usize, gated: bool) -> usize {
    if gated {
        (n / 2).div_ceil(HALF)
    } else {
        n.div_ceil(PANEL)
    }
}

/// Which of the two factors a column of a gated matrix comes from, and which column of it.
fn gated_source<'a>(gate: &'a [f32], up: &'a [f32], column: usize) -> (&'a [f32], usize) {
    let (panel, within) = (column / PANEL, column % PANEL);
    (
        if within < HALF { gate } else { up },
        panel * HALF + within % HALF,
    )
}

/// The tasks of one block of rows: with each the number of its column group and its part of every output row.
fn column_groups<'a>(
    x: &'a [f32],
    out: &'a mut [f32],
    n: usize,
    columns: usize,
) -> impl Iterator<Item = (usize, &'a [f32], Vec<&'a mut [f32]>)> {
    let mut groups: Vec<Vec<&mut [f32]>> = Vec::new();
    groups.resize_with(n.div_ceil(columns), || Vec::with_capacity(out.len() / n));
    for row in out.chunks_mut(n) {
        for (group, part) in groups.iter_mut().zip(row.chunks_mut(columns)) {
            group.push(part);
        }
    }
    groups
        .into_iter()
        .enumerate()
        .map(move |(group, rows)| (group, x, rows))
}

/// Where the rows of a result go.
trait Rows {
    fn row(&mut self, row: usize) -> &mut [f32];
}

/// Rows one after the other.
struct Contiguous<'a> {
    values: &'a mut [f32],
    width: usize,
}

impl Rows for Contiguous<'_> {
    #[inline(always)]
    fn row(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.width..(row + 1) * self.width]
    }
}

impl Rows for Vec<&mut [f32]> {
    #[inline(always)]
    fn row(&mut self, row: usize) -> &mut [f32] {
        self[row]
    }
}

/// One task: all strips of some rows times some panels. Panels are the outer loop, so that each is fetched from memory once.
struct Block<'a, R> {
    matrix: &'a PackedMatrix,
    rows: &'a PackedRows,
    panels: Range<usize>,
    epilogue: Epilogue<'a>,
    out: &'a mut R,
}

impl<R: Rows> WithSimd for Block<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            matrix,
            rows,
            panels,
            epilogue,
            out,
        } = self;
        let columns = epilogue.then.columns_per_panel();
        let (full, rest, rest_height) = rows.strips();
        let mut tile: Tile = [[0.0; PANEL]; STRIP];
        for (position, panel) in panels.enumerate() {
            let weights = matrix.panel(panel);
            let columns = position * columns..(position + 1) * columns;
            for (index, strip) in full.chunks_exact(STRIP * matrix.k).enumerate() {
                microkernel::multiply(simd, strip, STRIP, weights, &mut tile);
                let rows = index * STRIP..(index + 1) * STRIP;
                finish(&tile, panel, (rows, columns.clone()), epilogue, out);
            }
            if rest_height > 0 {
                microkernel::multiply(simd, rest, rest_height, weights, &mut tile);
                let rows = rows.rows() / STRIP * STRIP..rows.rows();
                finish(&tile, panel, (rows, columns), epilogue, out);
            }
        }
    }
}

/// Hands the rows of a tile to the epilogue. `columns` are those of the task's output; the last may lie beyond its edge.
///
/// Always inlined: outside the dispatched function it would be compiled without vectors, and without fused multiply-add.
#[inline(always)]
fn finish(
    tile: &Tile,
    panel: usize,
    (rows, columns): (Range<usize>, Range<usize>),
    epilogue: Epilogue<'_>,
    out: &mut impl Rows,
) {
    for (row, &sums) in rows.zip(tile) {
        let row = out.row(row);
        let end = row.len().min(columns.end);
        epilogue.finish(panel, sums, &mut row[columns.start..end]);
    }
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
