//! One task of a product: some rows times some panels.

#![expect(
    clippy::indexing_slicing,
    reason = "bounds follow from the shapes that the product's entry points assert"
)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{
    epilogue::Epilogue,
    microkernel::{self, PANEL, Tile},
    packed_matrix::PackedMatrix,
    rows::{PackedRows, STRIP},
};

/// The tasks of one block of rows: with each the number of its column group and its part of every output row.
pub(super) fn column_groups<'a>(
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
pub(super) trait Rows {
    fn row(&mut self, row: usize) -> &mut [f32];
}

/// Rows one after the other.
pub(super) struct Contiguous<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) width: usize,
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
pub(super) struct Block<'a, R> {
    pub(super) matrix: &'a PackedMatrix,
    pub(super) rows: &'a PackedRows,
    pub(super) panels: Range<usize>,
    pub(super) epilogue: Epilogue<'a>,
    pub(super) out: &'a mut R,
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
