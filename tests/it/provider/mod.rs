//! ProviderService.

mod create;
mod manage;
mod probe;
