//! CacheService.

mod build;
mod examples;
mod manage;
mod stats;
mod upload;
mod windows;
