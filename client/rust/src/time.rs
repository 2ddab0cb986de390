//! Timestamps of the wire as the standard library's.

use std::time::SystemTime;

/// The time, or nothing where it is not set or cannot be held.
pub(crate) fn system_time(timestamp: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    SystemTime::try_from(timestamp?).ok()
}
