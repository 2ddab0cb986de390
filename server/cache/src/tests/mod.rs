//! Tests of the whole crate: caches built from dense activations, and read back against a naive reading of these.

mod build;
mod corpora;
mod cut;
mod damage;
mod dense;
mod examples;
mod formats;
mod neighbours;
mod shards;
