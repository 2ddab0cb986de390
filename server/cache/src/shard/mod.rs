//! Activations of a run of rows, latent by latent: what a build commits at once and what examples are read from.
//!
//! A shard holds `indptr` u64 `[d_sae + 1]` and, for each firing token, `row` u32 (of the whole cache), `activation` f16
//! or f32, and `position` u16 (u32 where rows are longer than 65 535 tokens). Inside a latent activations fall; those
//! that are equal as stored are ordered by row, then position. In f16, the header counts the activations beyond its range.

mod builder;
mod clipped;
mod reader;

pub use builder::{ShardBuilder, ShardSpec, ShardSummary};
pub(crate) use clipped::Clipped;
pub(crate) use reader::{Firing, Postings, Shard};

const INDPTR: &str = "indptr";
const ROW: &str = "row";
const ACTIVATION: &str = "activation";
const POSITION: &str = "position";

/// Longest rows whose positions are stored in 16 bits.
const NARROW_ROWS: usize = 65_535;
