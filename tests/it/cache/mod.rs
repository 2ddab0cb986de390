//! CacheService.

mod build;
mod corpora;
mod examples;
mod manage;
mod pin;
mod stats;
mod upload;
mod windows;
