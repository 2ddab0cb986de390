//! All integration tests of latentd in one binary: it links once, and shares one Postgres and one fetched model.

mod harness;
mod tidy;
