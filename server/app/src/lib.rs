//! latentd, the library behind the binary: configuration, the life of the server, the gRPC surface, jobs, the command line.
//!
//! [`server::Server::start`] runs a whole server inside a process. Only this crate of the server knows tonic, and only
//! [`config`] reads the environment.

mod app;
mod bench;
mod buffers;
mod caches;
pub mod cli;
pub mod config;
mod corpora;
mod data_folder;
pub mod demo;
pub mod grpc;
mod health;
mod jobs;
pub mod lifecycle;
mod listener;
pub mod observability;
mod providers;
mod residency;
pub mod server;
