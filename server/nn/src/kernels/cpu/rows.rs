//! The left factor of a product, rearranged for the microkernel: strips of up to twelve rows, transposed.
//!
//! The microkernel reads one value of each row of a strip at every step of its inner loop; transposed, these lie side by
//! side and need neither bounds checks nor one address register a row.

#![expect(
    clippy::indexing_slicing,
    reason = "rows are numbered below the height of a strip"
)]

/// Rows in a full strip. Twelve rows times two vectors of sixteen columns are the 24 accumulators that AVX-512 has room for.
pub(crate) const STRIP: usize = 12;

/// Rows of a left factor `[rows, k]`, ready for [`super::PackedMatrix::tile`]. Reuse one for many blocks: it keeps its memory.
#[derive(Debug, Default)]
pub struct PackedRows {
    /// Full strips, each `[k, STRIP]`, then the rest as one strip `[k, rest_height]`.
    strips: Vec<f32>,
    rows: usize,
    k: usize,
}

impl PackedRows {
    /// Takes the rows of `x`, `[rows, k]` row-major.
    ///
    /// # Panics
    ///
    /// If the length of `x` is not a multiple of `k`.
    pub fn pack(&mut self, x: &[f32], k: usize) {
        assert!(
            k > 0 && x.len().is_multiple_of(k),
            "{} values are not rows of {k}",
            x.len()
        );
        self.reserve(x.len() / k, k);
        let (full, rest) = self.split_mut();
        let mut blocks = x.chunks_exact(STRIP * k);
        for (block, strip) in blocks.by_ref().zip(full.chunks_exact_mut(STRIP * k)) {
            transpose::<STRIP>(block, k, strip);
        }
        let last = blocks.remainder();
        match strip_height(last.len() / k) {
            0 => {}
            1 => transpose::<1>(last, k, rest),
            2 => transpose::<2>(last, k, rest),
            4 => transpose::<4>(last, k, rest),
            6 => transpose::<6>(last, k, rest),
            8 => transpose::<8>(last, k, rest),
            _ => transpose::<STRIP>(last, k, rest),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The full strips one after the other, and the strip of what is left with its height (0 if nothing is).
    pub(crate) fn strips(&self) -> (&[f32], &[f32], usize) {
        let (full, rest) = self.strips.split_at(self.rows / STRIP * STRIP * self.k);
        let height = strip_height(self.rows % STRIP);
        (
            full,
            rest.get(..height * self.k).unwrap_or_default(),
            height,
        )
    }

    fn reserve(&mut self, rows: usize, k: usize) {
        (self.rows, self.k) = (rows, k);
        let height = rows / STRIP * STRIP + strip_height(rows % STRIP);
        if self.strips.len() < height * k {
            self.strips.resize(height * k, 0.0);
        }
    }

    fn split_mut(&mut self) -> (&mut [f32], &mut [f32]) {
        let full = self.rows / STRIP * STRIP * self.k;
        let (full, rest) = self.strips.split_at_mut(full);
        (
            full,
            rest.get_mut(..strip_height(self.rows % STRIP) * self.k)
                .unwrap_or_default(),
        )
    }
}

/// Height of the strip that holds `rows` rows, fewer than [`STRIP`]: the next one that the microkernel is built for.
pub(crate) const fn strip_height(rows: usize) -> usize {
    match rows {
        0..=2 => rows,
        3 | 4 => 4,
        5 | 6 => 6,
        7 | 8 => 8,
        _ => STRIP,
    }
}

/// Writes up to `M` rows of `k` values as `[k, M]`; rows that are not there become zeros.
fn transpose<const M: usize>(rows: &[f32], k: usize, strip: &mut [f32]) {
    /// Steps that all rows pass over before the next: their lines stay in the first-level cache.
    const BLOCK: usize = 256;
    let (steps, _) = strip.as_chunks_mut::<M>();
    for (block, steps) in steps.chunks_mut(BLOCK).enumerate() {
        let from = block * BLOCK;
        for r in 0..M {
            let row = rows
                .get(r * k + from..(r * k + from + steps.len()).min((r + 1) * k))
                .unwrap_or_default();
            for (step, &value) in steps.iter_mut().zip(row) {
                step[r] = value;
            }
            for step in steps.iter_mut().skip(row.len()) {
                step[r] = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_side_by_side() {
        let mut packed = PackedRows::default();
        for rows in [1, 2, 3, 5, 7, 11, 12, 13, 30] {
            let k = 3;
            let x: Vec<f32> = (0..rows * k).map(|i| i as f32 + 1.0).collect();
            packed.pack(&x, k);
            let (full, rest, height) = packed.strips();
            assert_eq!((packed.rows(), packed.k()), (rows, k));
            for row in 0..rows {
                let (strip, height, r) = if row < rows / STRIP * STRIP {
                    (&full[row / STRIP * STRIP * k..], STRIP, row % STRIP)
                } else {
                    (rest, height, row % STRIP)
                };
                for step in 0..k {
                    assert_eq!(
                        strip[step * height + r],
                        x[row * k + step],
                        "{rows} rows, row {row}"
                    );
                }
            }
            assert!(
                rest.chunks(height.max(1))
                    .all(|step| step[rows % STRIP..].iter().all(|&v| v == 0.0))
            );
        }
    }
}
