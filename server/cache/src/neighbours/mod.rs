//! Latents that fire on the same tokens, and windows in which a latent is silent while one of its neighbours fires.
//!
//! The similarity of two latents is the Jaccard index of the sets of tokens on which they fire, `|A ∩ B| / |A ∪ B|`, as in
//! delphi (`latents/neighbours.py`, `_compute_cooccurrence_neighbours`). There it takes a matrix of `d_sae · d_sae` counters and
//! drops the first of each list, whichever latent that is; here counters exist for a block of latents at a time, and the latent
//! itself is what is left out. Latents that never fire together are not neighbours, so a list may be short.

mod count;
mod kept;
mod nearest;
mod silent;

use latentd_domain::SaeName;

pub use kept::MAX_NEIGHBOURS;
pub use silent::{NeighbourExample, NeighbourQuery};

use crate::{Cache, Error, cache::Parts};

/// Memory that counters may take.
const COUNTER_BYTES: usize = 64 << 20;

/// Latents whose counters fit the memory that they may take; at least one.
fn block_len(d_sae: u32) -> usize {
    let counters = COUNTER_BYTES / size_of::<u32>();
    (counters / (d_sae as usize).max(1)).clamp(1, (d_sae as usize).max(1))
}

impl Cache {
    /// For each of `latents`, the `count` latents that fire on the same tokens most often, with the Jaccard index, nearest
    /// first, equal ones by index.
    ///
    /// The shards are read once for every block of latents whose counters fit 64 MiB: 3 640 latents of an SAE with 4 608.
    ///
    /// Fails with `UnknownSae`, `UnknownLatent`, or `CacheCorrupt` where the shards do not fit the rows.
    pub fn co_occurring(
        &self,
        sae: &SaeName,
        latents: &[u32],
        count: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>, Error> {
        self.guarded(Some(sae), || {
            for &latent in latents {
                self.source(sae, latent)?;
            }
            let parts = self.parts(sae)?;
            let mut out = Vec::with_capacity(latents.len());
            for block in latents.chunks(block_len(parts.d_sae)) {
                out.extend(self.block(&parts, block, count)?);
            }
            Ok(out)
        })
    }

    /// The `count` latents, at most [`MAX_NEIGHBOURS`], that fire on the same tokens as `latent` most often, as
    /// [`Cache::co_occurring`] gives them.
    ///
    /// They are computed for a block of latents when one of it is first asked for, and kept in a file beside the shards.
    ///
    /// Fails as [`Cache::co_occurring`], and with `DiskFull` or `StorageFailed` if the file cannot be written.
    pub fn neighbours(
        &self,
        sae: &SaeName,
        latent: u32,
        count: usize,
    ) -> Result<Vec<(u32, f32)>, Error> {
        self.guarded(Some(sae), || self.source(sae, latent))?;
        let parts = self.parts(sae)?;
        let digest = self.stats_digest(sae);
        let block = kept::Block::of(latent, parts.d_sae);
        if let Some(found) = block.read(parts.dir, digest, latent) {
            return Ok(first(found, count));
        }
        // A panic while it was held left nothing half done: files appear whole or not at all.
        let _alone = parts
            .computing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = block.read(parts.dir, digest, latent) {
            return Ok(first(found, count));
        }
        let latents: Vec<u32> = block.latents().collect();
        // What is kept for good is made of whole files.
        let mut lists = self.guarded(Some(sae), || self.block(&parts, &latents, MAX_NEIGHBOURS))?;
        block.write(parts.dir, digest, &lists)?;
        let found = lists.get_mut((latent - block.first()) as usize);
        Ok(first(found.map(std::mem::take).unwrap_or_default(), count))
    }

    fn block(
        &self,
        parts: &Parts<'_>,
        latents: &[u32],
        count: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>, Error> {
        let counters = count::together(self.tokens(), parts, latents)?;
        Ok(nearest::by_jaccard(&counters, parts, latents, count))
    }

    fn stats_digest(&self, sae: &SaeName) -> &str {
        let mut records = self.manifest().saes.iter();
        records
            .find(|record| record.name == *sae)
            .map_or("", |record| record.stats_digest.as_str())
    }
}

fn first(mut list: Vec<(u32, f32)>, count: usize) -> Vec<(u32, f32)> {
    list.truncate(count);
    list
}
