//! What a work cost: the numbers that a reply echoes.

use std::time::Duration;

/// What a work cost. Works that shared a batch report its compute time each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// From submission to the start of the batch.
    pub queue: Duration,
    /// From the start of the batch to its result on the host.
    pub compute: Duration,
    /// Tokens of this work.
    pub tokens: usize,
    /// Tokens of the batch.
    pub batch_tokens: usize,
    /// Works of the batch.
    pub batch_requests: usize,
}

/// Milliseconds, as log lines have them.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
