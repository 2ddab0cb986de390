//! CacheService.

mod build;
mod examples;
mod manage;
mod pin;
mod stats;
mod upload;
mod windows;
