//! Tests of the parts together.

mod oracle;
mod planted;
mod rows;
mod snapshots;
mod splits;
pub(crate) mod world;
