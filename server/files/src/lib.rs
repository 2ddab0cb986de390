//! The one place where the server opens a file that somebody else names: weights, configurations, tokenizers, corpora, keys.
//!
//! Such a path may lead to anything. Opening a FIFO waits for a writer that never comes, `/dev/zero` never ends, and a file
//! may grow while it is read. So a path is looked at first and opened without waiting, what was opened must be a regular
//! file, and small files are read up to a limit whatever their size says. Nothing here computes or knows formats.

mod error;
mod kind;
mod read;

pub use error::Error;
pub use kind::{Kind, kind};
pub use read::{open, read, read_if_present, read_text, read_text_if_present};
