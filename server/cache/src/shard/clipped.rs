//! Activations that f16 cannot hold.

use std::collections::BTreeMap;

use crate::mapped::Mapped;

const ABOVE: &str = "above_range";
const BELOW: &str = "below_range";

/// How many activations were stored as another number, because they are beyond the range of the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clipped {
    /// Stored as the largest number.
    pub(crate) above: u64,
    /// Stored as the smallest number.
    pub(crate) below: u64,
}

impl Clipped {
    /// As a shard keeps it; without an entry for what did not happen, which leaves the bytes of most shards as they were.
    pub(super) fn to_metadata(self) -> BTreeMap<&'static str, String> {
        [(ABOVE, self.above), (BELOW, self.below)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(key, count)| (key, count.to_string()))
            .collect()
    }

    pub(super) fn of_metadata(file: &Mapped) -> Self {
        let count = |key| {
            let count = file.metadata(key).ok()?;
            count.parse().ok()
        };
        Self {
            above: count(ABOVE).unwrap_or_default(),
            below: count(BELOW).unwrap_or_default(),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.above += other.above;
        self.below += other.below;
    }
}
