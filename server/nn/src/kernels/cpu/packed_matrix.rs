//! Weights rearranged for the microkernel: panels of 32 columns, each contiguous over the inner dimension.
//!
//! The rearranging is done once, when a model is loaded. It is the only copy of a weight that is kept.

#![expect(
    clippy::indexing_slicing,
    reason = "bounds follow from the shapes that each entry point asserts"
)]

use pulp::Arch;
use rayon::prelude::*;

use super::{aligned::AlignedBuffer, epilogue::HALF, microkernel::PANEL};

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
    pub(super) k: usize,
    /// Columns of the matrix. Of a gated one, both factors together, interleaved in halves of a panel.
    pub(super) n: usize,
    pub(super) gated: bool,
    pub(super) arch: Arch,
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

    /// Rearranges two matrices `[k, n]` for [`super::Then::SiluGate`]: each panel holds half a panel of either, so that gate and
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

    /// Panel `panel`, `[k, PANEL]`.
    pub fn panel(&self, panel: usize) -> &[f32] {
        &self.panels.values()[panel * self.k * PANEL..(panel + 1) * self.k * PANEL]
    }
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
