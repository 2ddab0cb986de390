//! The engine: one device, one thread that computes on it, one bounded queue before it.
//!
//! [`Handle`] is how the server reaches the device. A call becomes a work in the queue; the device thread takes what waits,
//! lets the pure planner choose a batch, runs one forward pass and every SAE asked for, and answers each caller with host
//! values. While one batch computes the next gathers, so batches form because the device is busy, with no timer.
//! Loading has a thread of its own, so that encoding goes on meanwhile.
//!
//! What must not happen here: a tensor that leaves this crate, a result that depends on what it was batched with, a panic
//! that ends the process, a wait on a tokio worker.

mod batch;
mod catalog;
mod compute;
mod contain;
mod cost;
mod embed;
mod engine;
mod error;
mod generate;
mod group;
mod handle;
mod health;
mod loader;
mod planner;
mod queue;
mod residency;
mod resolve;
#[cfg(test)]
mod tests;
mod thread;
mod work;

pub use catalog::{Catalog, ModelEntry, SaeEntry};
pub use cost::Cost;
pub use embed::{EmbedOutput, EmbedWork};
pub use engine::{DeviceInfo, Engine, Options};
pub use error::Error;
pub use generate::{
    Finish, GenerateOutput, GenerateWork, Sampling, ScoreSequence, ScoreTokensOutput,
    ScoreTokensWork, TokenScore,
};
pub use handle::Handle;
pub use health::Health;
/// The goldens of `tests/golden` against a device, without an engine.
pub mod golden {
    pub use latentd_nn::{
        Device,
        golden::{Comparison, Error, TOLERANCE, compare},
    };
}
pub use latentd_nn::{
    error::ComputeError,
    form::{Form, UnsupportedSchema},
    sae::{Direction, LatentReport, SaeOptions},
    tokenizer::{ChatError, ChatMessage, Tokenizer},
};
pub use work::{Dense, EncodeOutput, EncodeWork, Lane, Sequence};
