//! How many activations a request may keep: counted by every task that computes it, while they come by.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::ComputeError;

/// Room for so many activations, shared by the tasks of one request.
///
/// Whether a request fits depends on the sum alone, and not on how it was cut into tasks or which was first.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    taken: AtomicUsize,
}

impl Budget {
    /// Room for `limit`, and never for more than 32-bit offsets count.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.min(u32::MAX as usize),
            taken: AtomicUsize::new(0),
        }
    }

    /// Activations that there is room for in all.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes room for `more`; `false` if there is none left. Then what is computed is of no use.
    pub(super) fn take(&self, more: usize) -> bool {
        self.taken.fetch_add(more, Ordering::Relaxed) + more <= self.limit
    }

    /// Fails if more was taken than there was room for.
    pub(super) fn check(&self) -> Result<(), ComputeError> {
        if self.taken.load(Ordering::Relaxed) <= self.limit {
            return Ok(());
        }
        Err(ComputeError::TooManyActivations { limit: self.limit })
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}
