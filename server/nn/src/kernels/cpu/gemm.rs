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

use std::ops::Range;

use rayon::prelude::*;

use super::{
    block::{Block, Contiguous, Rows, column_groups},
    epilogue::{Epilogue, Then},
    packed_matrix::PackedMatrix,
    rows::{PackedRows, STRIP},
};

/// Rows of a task where there are many: four strips, whose values stay in the second-level cache beside a panel.
const BLOCK_ROWS: usize = 4 * STRIP;
/// Up to so many rows, tasks share out the columns, so that each weight is read by one thread only.
const FEW_ROWS: usize = 256;
/// Multiplications below which a second thread costs more than it brings.
const SERIAL: usize = 1 << 17;

impl PackedMatrix {
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
        let (values, _) = out.split_at_mut(rows.rows() * columns.len());
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

    fn check(&self, epilogue: Epilogue<'_>) {
        assert_eq!(
            self.gated,
            epilogue.then == Then::SiluGate,
            "gated matrices, and only they, have gates"
        );
    }
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
