//! How many activations of a shard may be held in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use latentd_cache::{SHARD_TOKENS, ShardBuilder};
use latentd_domain::{Reason, SparseActivations};

use crate::grpc::error::Error;

/// The memory for the activations of one shard, of all SAEs together: an SAE that fires everywhere must not take the server
/// down.
pub(super) struct Room {
    bytes: u64,
    kept: AtomicUsize,
}

impl Room {
    pub(super) fn of(bytes: u64) -> Self {
        Self {
            bytes,
            kept: AtomicUsize::new(0),
        }
    }

    /// Activations that there is room for in all.
    fn entries(&self) -> usize {
        usize::try_from(self.bytes / ShardBuilder::ENTRY_BYTES).unwrap_or(usize::MAX)
    }

    /// Activations that there is room for still.
    pub(super) fn left(&self) -> usize {
        self.entries()
            .saturating_sub(self.kept.load(Ordering::Relaxed))
    }

    pub(super) fn take(&self, activations: &[SparseActivations]) -> Result<(), Error> {
        let entries: usize = activations.iter().map(SparseActivations::entries).sum();
        if self.kept.fetch_add(entries, Ordering::Relaxed) + entries <= self.entries() {
            Ok(())
        } else {
            Err(self.used_up())
        }
    }

    pub(super) fn used_up(&self) -> Error {
        let (bytes, entries) = (self.bytes, self.entries());
        let message = format!(
            "the SAEs fire too often: {SHARD_TOKENS} tokens have more than {entries} activations, which is all that \
             jobs.shard_bytes, {bytes}, has room for; raise it, or build a cache of fewer SAEs at once"
        );
        Error::new(Reason::BatchTooLarge, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_has_room_for_what_it_is_given() {
        let room = Room::of(16 * 10);
        let mut activations = SparseActivations::default();
        for latent in 0..6 {
            activations.push(latent, 1.0);
        }
        activations.end_row();
        room.take(std::slice::from_ref(&activations)).unwrap();
        assert_eq!(room.left(), 4);
        let error = room.take(&[activations]).unwrap_err();
        assert_eq!(error.reason(), Reason::BatchTooLarge);
        assert_eq!(room.left(), 0);
    }
}
