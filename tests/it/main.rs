//! All integration tests of latentd in one binary: it links once, and shares one Postgres and one fetched model.
//!
//! The folders mirror `server/app/src/grpc`: the tests of an RPC are where its handler is.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod activation;
mod bad_input;
mod cache;
mod commands;
mod crash;
mod explanation;
mod fidelity;
mod harness;
mod job;
mod model;
mod provider;
mod readme;
mod sae;
mod server;
mod tidy;
