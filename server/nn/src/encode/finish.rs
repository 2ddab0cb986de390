//! From the candidates of blocks and segments to compressed sparse rows: the last step of a selection, row by row.

use latentd_domain::{Selection, SparseActivations};

use super::{
    budget::Budget,
    select::{Candidates, Key, strongest_first},
};
use crate::{error::ComputeError, sae::LatentVector};

/// Candidates of rows that follow each other, cut into segments of ascending latents.
pub(super) struct Block {
    /// Number of rows.
    pub(super) rows: usize,
    /// One for each segment, all of the same rows.
    pub(super) segments: Vec<Candidates>,
}

/// What remains to be done with the candidates of a row.
pub(super) struct Finish<'a> {
    /// Most that fire, strongest first, where the encoder chose the strongest; `None` where it kept all.
    pub(super) strongest: Option<usize>,
    /// Factors of the activations, by latent, where the encoder has not applied them.
    pub(super) factors: Option<&'a LatentVector>,
    /// What was asked for.
    pub(super) selection: &'a Selection,
    /// The latent of each column, where the encoder saw a part of them.
    pub(super) columns: Option<&'a [u32]>,
}

impl Finish<'_> {
    /// Puts the rows of all blocks together.
    ///
    /// # Errors
    ///
    /// [`ComputeError::TooManyActivations`] if there is no room for them in `budget`.
    pub(super) fn assemble(
        &self,
        blocks: &[Block],
        budget: &Budget,
    ) -> Result<SparseActivations, ComputeError> {
        // Where all that fires was kept, it was counted when it came by.
        budget.check()?;
        let rows: usize = blocks.iter().map(|block| block.rows).sum();
        let bound: usize = blocks
            .iter()
            .flat_map(|block| &block.segments)
            .map(Candidates::entries)
            .sum();
        let bound = bound.min(budget.limit());
        let mut out = SparseActivations {
            row_offsets: Vec::with_capacity(rows + 1),
            latents: Vec::with_capacity(bound),
            activations: Vec::with_capacity(bound),
        };
        out.row_offsets.push(0);
        let mut keys = Vec::new();
        for block in blocks {
            for row in 0..block.rows {
                keys.clear();
                for segment in &block.segments {
                    keys.extend_from_slice(segment.row(row));
                }
                self.finish_row(&mut keys, block.segments.len());
                if self.strongest.is_some() && !budget.take(keys.len()) {
                    return budget.check().map(|()| out);
                }
                for key in &keys {
                    out.push(self.latent(key.latent()), key.activation());
                }
                out.end_row();
            }
        }
        Ok(out)
    }

    fn finish_row(&self, keys: &mut Vec<Key>, segments: usize) {
        if let Some(k) = self.strongest {
            if segments > 1 {
                strongest_first(keys, k);
            }
            keys.truncate(k);
        }
        if let Some(factors) = self.factors {
            rescale(keys, factors);
        }
        match (self.selection, self.strongest) {
            // Without a choice of the strongest, the encoder kept what was asked for, in order.
            (Selection::AllFiring | Selection::Latents(_), None) => {}
            (Selection::AllFiring, Some(_)) => keys.sort_unstable_by_key(|key| key.latent()),
            (Selection::Latents(set), Some(_)) => {
                keys.retain(|key| set.binary_search(&key.latent()).is_ok());
                keys.sort_unstable_by_key(|key| key.latent());
            }
            (Selection::TopK(n), _) => {
                let n = *n as usize;
                if self.factors.is_some() {
                    strongest_first(keys, n);
                }
                keys.truncate(n);
            }
        }
    }

    fn latent(&self, column: u32) -> u32 {
        match self.columns {
            None => column,
            Some(columns) => columns.get(column as usize).copied().unwrap_or(u32::MAX),
        }
    }
}

/// Multiplies activations by the factors of their latents. One that is 0 after that does not fire.
fn rescale(keys: &mut Vec<Key>, factors: &LatentVector) {
    keys.retain_mut(|key| {
        let factor = factors.get(key.latent() as usize).unwrap_or_default();
        let activation = key.activation() * factor;
        *key = Key::new(key.latent(), activation);
        activation > 0.0
    });
}
