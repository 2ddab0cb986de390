//! All integration tests of latentd in one binary: it links once, and shares one Postgres and one fetched model.
//!
//! The folders mirror `server/app/src/grpc`: the tests of an RPC are where its handler is.

mod activation;
mod bad_input;
mod cache;
mod crash;
mod fidelity;
mod harness;
mod job;
mod model;
mod readme;
mod sae;
mod server;
mod tidy;
