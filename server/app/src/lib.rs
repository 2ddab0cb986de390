//! latentd, the library behind the binary.
pub mod config;
pub mod lifecycle;
pub mod observability;
