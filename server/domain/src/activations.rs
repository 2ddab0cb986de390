//! Sparse activations of a sequence of tokens: compressed sparse rows, one row for each token.

/// Arrays that are not compressed sparse rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCsr {
    /// `row_offsets` must begin with 0.
    #[error("row_offsets must begin with 0")]
    Start,
    /// `row_offsets` must not fall.
    #[error("row_offsets must not fall, and does at row {row}")]
    Falling {
        /// The row.
        row: usize,
    },
    /// The last offset, the number of latents and the number of activations must be equal.
    #[error("row_offsets end at {end}, with {latents} latents and {activations} activations")]
    Lengths {
        /// Last entry of `row_offsets`.
        end: usize,
        /// Number of latents.
        latents: usize,
        /// Number of activations.
        activations: usize,
    },
}

/// Compressed sparse rows: row `t` holds `latents[row_offsets[t]..row_offsets[t + 1]]` with the activation of each.
///
/// The fields are open for building in a hot loop; [`SparseActivations::check`] tells whether they fit together.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseActivations {
    /// Where each row begins; one entry more than there are rows, the first 0.
    pub row_offsets: Vec<u32>,
    /// Latent indices.
    pub latents: Vec<u32>,
    /// Activation of each latent.
    pub activations: Vec<f32>,
}

impl Default for SparseActivations {
    fn default() -> Self {
        Self {
            row_offsets: vec![0],
            latents: Vec::new(),
            activations: Vec::new(),
        }
    }
}

impl SparseActivations {
    /// No rows yet, with room for `rows` rows of `per_row` entries.
    pub fn with_capacity(rows: usize, per_row: usize) -> Self {
        let mut row_offsets = Vec::with_capacity(rows + 1);
        row_offsets.push(0);
        Self {
            row_offsets,
            latents: Vec::with_capacity(rows * per_row),
            activations: Vec::with_capacity(rows * per_row),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.row_offsets.len().saturating_sub(1)
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.latents.len()
    }

    /// Latents and activations of row `row`; empty if there is no such row.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let bounds = self.row_offsets.get(row).zip(self.row_offsets.get(row + 1));
        bounds
            .and_then(|(&start, &end)| {
                let range = start as usize..end as usize;
                self.latents
                    .get(range.clone())
                    .zip(self.activations.get(range))
            })
            .unwrap_or((&[], &[]))
    }

    /// Adds one entry to the row that is open; [`SparseActivations::end_row`] closes it.
    pub fn push(&mut self, latent: u32, activation: f32) {
        self.latents.push(latent);
        self.activations.push(activation);
    }

    /// Closes the open row; an empty one if nothing was pushed.
    pub fn end_row(&mut self) {
        self.row_offsets.push(self.latents.len() as u32);
    }

    /// Appends the rows of `other`.
    pub fn append(&mut self, other: &SparseActivations) {
        let base = self.latents.len() as u32;
        self.row_offsets
            .extend(other.row_offsets.iter().skip(1).map(|offset| base + offset));
        self.latents.extend_from_slice(&other.latents);
        self.activations.extend_from_slice(&other.activations);
    }

    /// The rows `start..end` on their own; rows that do not exist are left out.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> SparseActivations {
        let mut out = SparseActivations::default();
        for row in start..end.min(self.rows()) {
            let (latents, activations) = self.row(row);
            out.latents.extend_from_slice(latents);
            out.activations.extend_from_slice(activations);
            out.end_row();
        }
        out
    }

    /// Whether the arrays fit together.
    pub fn check(&self) -> Result<(), InvalidCsr> {
        if self.row_offsets.first() != Some(&0) {
            return Err(InvalidCsr::Start);
        }
        let falls = self
            .row_offsets
            .windows(2)
            .position(|pair| pair.first() > pair.last());
        if let Some(row) = falls {
            return Err(InvalidCsr::Falling { row });
        }
        let end = self.row_offsets.last().copied().unwrap_or_default() as usize;
        if end != self.latents.len() || end != self.activations.len() {
            return Err(InvalidCsr::Lengths {
                end,
                latents: self.latents.len(),
                activations: self.activations.len(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> SparseActivations {
        let mut out = SparseActivations::default();
        out.push(3, 1.0);
        out.push(7, 2.0);
        out.end_row();
        out.end_row();
        out.push(1, 0.5);
        out.end_row();
        out
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        let csr = example();
        assert_eq!(csr.check(), Ok(()));
        assert_eq!(csr.rows(), 3);
        assert_eq!(csr.row(0), (&[3, 7][..], &[1.0, 2.0][..]));
        assert_eq!(csr.row(1), (&[][..], &[][..]));
        assert_eq!(csr.row(9), (&[][..], &[][..]));
    }

    #[test]
    fn append_is_the_inverse_of_slice() {
        let csr = example();
        let mut joined = csr.slice(0, 1);
        joined.append(&csr.slice(1, 3));
        assert_eq!(joined, csr);
    }

    #[test]
    fn misfits_are_told_apart() {
        let mut csr = example();
        csr.row_offsets[0] = 1;
        assert_eq!(csr.check(), Err(InvalidCsr::Start));
        let mut csr = example();
        csr.row_offsets[1] = 3;
        csr.row_offsets[2] = 2;
        assert_eq!(csr.check(), Err(InvalidCsr::Falling { row: 1 }));
        let mut csr = example();
        csr.activations.pop();
        assert!(matches!(
            csr.check(),
            Err(InvalidCsr::Lengths { end: 3, .. })
        ));
    }
}
