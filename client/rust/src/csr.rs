//! Sparse activations as compressed rows, and the dense and summed-up views of them.

use std::{collections::HashMap, ops::Range};

use serde::Serialize;

use crate::{Error, Result};

/// Compressed sparse rows: row `t` holds `latents[row_offsets[t]..row_offsets[t + 1]]` and the activation of each.
///
/// What comes from a server has been checked: the accessors never go out of bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SparseRows {
    /// Where each row begins; one entry more than there are rows, the first 0.
    pub row_offsets: Vec<u32>,
    /// Latent indices.
    pub latents: Vec<u32>,
    /// Activation of each latent.
    pub activations: Vec<f32>,
}

impl Default for SparseRows {
    fn default() -> Self {
        Self {
            row_offsets: vec![0],
            latents: Vec::new(),
            activations: Vec::new(),
        }
    }
}

impl SparseRows {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a row.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        for (latent, activation) in row {
            self.latents.push(latent);
            self.activations.push(activation);
        }
        self.row_offsets.push(self.latents.len() as u32);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.row_offsets.len().saturating_sub(1)
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.latents.len()
    }

    /// The latents and activations of one row; empty if there is no such row.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, f32)> + '_ {
        let range = self.range(row).unwrap_or(0..0);
        let latents = self.latents.get(range.clone()).unwrap_or_default();
        let activations = self.activations.get(range).unwrap_or_default();
        latents.iter().copied().zip(activations.iter().copied())
    }

    fn range(&self, row: usize) -> Option<Range<usize>> {
        let start = *self.row_offsets.get(row)? as usize;
        let end = *self.row_offsets.get(row + 1)? as usize;
        Some(start..end)
    }

    /// The rows `rows` alone.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> SparseRows {
        let mut slice = SparseRows::new();
        for row in rows.start..rows.end.min(self.rows()) {
            slice.push_row(self.row(row));
        }
        slice
    }

    /// The latents with the highest activation anywhere in these rows, strongest first, at most `count`.
    pub fn top(&self, count: usize) -> Vec<TopLatent> {
        let mut peaks: HashMap<u32, TopLatent> = HashMap::new();
        for row in 0..self.rows() {
            for (latent, activation) in self.row(row) {
                let peak = peaks.entry(latent).or_insert(TopLatent {
                    latent,
                    activation,
                    row,
                    count: 0,
                });
                peak.count += 1;
                if activation > peak.activation {
                    (peak.activation, peak.row) = (activation, row);
                }
            }
        }
        let mut top: Vec<TopLatent> = peaks.into_values().collect();
        top.sort_by(|a, b| {
            b.activation
                .total_cmp(&a.activation)
                .then(a.latent.cmp(&b.latent))
        });
        top.truncate(count);
        top
    }

    /// All rows written out: `[rows, width]`, zeros where nothing fires. Latents from `width` on are left out.
    pub fn to_dense(&self, width: usize) -> Dense {
        let mut values = vec![0.0; self.rows() * width];
        for (row, dense) in values.chunks_exact_mut(width.max(1)).enumerate() {
            for (latent, activation) in self.row(row) {
                if let Some(value) = dense.get_mut(latent as usize) {
                    *value = activation;
                }
            }
        }
        Dense {
            rows: self.rows(),
            width,
            values,
        }
    }

    /// Whether the three arrays fit together.
    pub(crate) fn checked(self) -> Result<Self> {
        let rising = self
            .row_offsets
            .windows(2)
            .all(|pair| pair.first() <= pair.last());
        let ends = (self.row_offsets.first(), self.row_offsets.last());
        let fits = ends == (Some(&0), Some(&(self.latents.len() as u32)))
            && self.latents.len() == self.activations.len();
        if rising && fits {
            Ok(self)
        } else {
            Err(Error::malformed(
                "row offsets, latents and activations do not fit together",
            ))
        }
    }
}

/// A latent and where it is strongest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TopLatent {
    /// Index of the latent.
    pub latent: u32,
    /// Its highest activation.
    pub activation: f32,
    /// The row, which is the token, where it has it; the first if there are several.
    pub row: usize,
    /// Number of rows where it fires.
    pub count: usize,
}

/// A matrix, row-major.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dense {
    /// Number of rows.
    pub rows: usize,
    /// Width of a row.
    pub width: usize,
    /// `rows × width` values.
    pub values: Vec<f32>,
}

impl Dense {
    /// One row; empty if there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        let start = row.saturating_mul(self.width);
        self.values
            .get(start..start.saturating_add(self.width))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> SparseRows {
        let mut rows = SparseRows::new();
        rows.push_row([(1, 0.5), (3, 2.0)]);
        rows.push_row([]);
        rows.push_row([(3, 1.0), (0, 2.0), (1, 0.75)]);
        rows
    }

    #[test]
    fn rows_are_read_back() {
        let rows = rows();
        assert_eq!((rows.rows(), rows.entries()), (3, 5));
        assert_eq!(rows.row(0).collect::<Vec<_>>(), [(1, 0.5), (3, 2.0)]);
        assert_eq!(rows.row(1).len(), 0);
        assert_eq!(rows.row(99).len(), 0);
        assert_eq!(rows.slice(1..9).row_offsets, [0, 0, 3]);
    }

    #[test]
    fn the_top_is_by_peak_with_ties_by_index() {
        let top = rows().top(2);
        assert_eq!(
            top[0],
            TopLatent {
                latent: 0,
                activation: 2.0,
                row: 2,
                count: 1
            }
        );
        assert_eq!(
            top[1],
            TopLatent {
                latent: 3,
                activation: 2.0,
                row: 0,
                count: 2
            }
        );
    }

    #[test]
    fn dense_has_zeros_where_nothing_fires() {
        let dense = rows().to_dense(4);
        assert_eq!(dense.row(0), [0.0, 0.5, 0.0, 2.0]);
        assert_eq!(dense.row(1), [0.0; 4]);
        assert_eq!(dense.row(2), [2.0, 0.75, 0.0, 1.0]);
        assert!(dense.row(3).is_empty());
        assert_eq!(SparseRows::new().to_dense(0).values.len(), 0);
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused() {
        assert!(rows().checked().is_ok());
        for (row_offsets, latents, activations) in [
            (vec![], vec![], vec![]),
            (vec![1], vec![0], vec![0.0]),
            (vec![0, 2], vec![0], vec![0.0]),
            (vec![0, 2, 1], vec![0], vec![0.0]),
            (vec![0, 1], vec![0], vec![]),
        ] {
            assert!(
                SparseRows {
                    row_offsets,
                    latents,
                    activations
                }
                .checked()
                .is_err()
            );
        }
    }
}
