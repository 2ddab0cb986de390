//! Neighbours that were computed before, in files beside the shards: one for each block of latents, with the nearest
//! [`MAX_NEIGHBOURS`] of each.
//!
//! A file is made from shards and says from which, by the digest of their statistics. One that is missing, damaged, or made from
//! others is computed again; so it is not part of the manifest, and deleting it costs time only.

use std::{collections::BTreeMap, ops::Range, path::Path};

use super::block_len;
use crate::{
    Error,
    layout::neighbours_path,
    mapped::Mapped,
    tensor_file::{Declared, TensorFile},
};

/// Neighbours that are kept of each latent, at most.
pub const MAX_NEIGHBOURS: usize = 128;

const LATENT: &str = "latent";
const SIMILARITY: &str = "similarity";
/// Key of the digest of the statistics that were current.
const MADE_FROM: &str = "stats_digest";
/// Ends a list that is shorter than [`MAX_NEIGHBOURS`].
const NONE: u32 = u32::MAX;

/// A run of latents whose neighbours are computed together and lie in one file.
pub(super) struct Block {
    number: usize,
    latents: Range<u32>,
}

impl Block {
    /// The block of `latent`.
    pub(super) fn of(latent: u32, d_sae: u32) -> Self {
        let len = block_len(d_sae) as u32;
        let first = latent - latent % len;
        Self {
            number: (latent / len) as usize,
            latents: first..first.saturating_add(len).min(d_sae),
        }
    }

    pub(super) fn first(&self) -> u32 {
        self.latents.start
    }

    pub(super) fn latents(&self) -> Range<u32> {
        self.latents.clone()
    }

    /// The neighbours of `latent`, if they are kept.
    pub(super) fn read(&self, dir: &Path, digest: &str, latent: u32) -> Option<Vec<(u32, f32)>> {
        let file = Mapped::open(&neighbours_path(dir, self.number)).ok()?;
        if file.metadata(MADE_FROM).ok()? != digest {
            return None;
        }
        let shape = &[self.latents.len() as u64, MAX_NEIGHBOURS as u64];
        let latents = file.column::<u32>(LATENT, shape).ok()?;
        let similarities = file.column::<f32>(SIMILARITY, shape).ok()?;
        let start = (latent - self.latents.start) as usize * MAX_NEIGHBOURS;
        let list = start..start + MAX_NEIGHBOURS;
        let latents = file.values(&latents).get(list.clone())?;
        let similarities = file.values(&similarities).get(list)?;
        let list = latents.iter().copied().zip(similarities.iter().copied());
        let list = list.take_while(|&(latent, _)| latent != NONE).collect();
        file.intact().ok()?;
        Some(list)
    }

    /// Keeps the neighbours of all latents of the block.
    pub(super) fn write(
        &self,
        dir: &Path,
        digest: &str,
        lists: &[Vec<(u32, f32)>],
    ) -> Result<(), Error> {
        let shape = &[self.latents.len() as u64, MAX_NEIGHBOURS as u64];
        let declared = [
            Declared::new::<u32>(LATENT, shape),
            Declared::new::<f32>(SIMILARITY, shape),
        ];
        let metadata = BTreeMap::from([(MADE_FROM, digest.to_owned())]);
        let path = neighbours_path(dir, self.number);
        let mut file = TensorFile::create(&path, &declared, &metadata)?;
        let entry =
            |list: &Vec<(u32, f32)>, at: usize| list.get(at).copied().unwrap_or((NONE, 0.0));
        for list in lists {
            file.write((0..MAX_NEIGHBOURS).map(|at| entry(list, at).0))?;
        }
        for list in lists {
            file.write((0..MAX_NEIGHBOURS).map(|at| entry(list, at).1))?;
        }
        file.commit().map(|_| ())
    }
}
