//! From weights and tokens to activations: models, tokenizers, SAEs and the kernels that run them.
//!
//! This is the only crate besides `engine` that knows burn, and [`device`] the only file that names one of its backends.
//! Everything here is synchronous and deterministic: the same tokens give the same bits, however they were batched and on
//! however many threads (`server/ARCHITECTURE.md`, invariants 1 and 9). Nothing here knows requests, queues or clocks.

pub mod device;
pub mod encode;
pub mod error;
pub mod form;
pub mod golden;
pub mod kernels;
pub mod layers;
pub mod logits;
pub mod model;
pub mod packed;
pub mod past;
pub mod pause;
pub mod sae;
pub mod sentence;
pub mod taps;
pub mod tokenizer;
pub mod weights;

pub use device::{Device, Tensor};
pub use error::{ComputeError, LoadError};
pub use model::{Logit, Model, ModelOn};
pub use packed::PackedTokens;
pub use past::{Extension, ExtensionOn, Past, PastOn};
pub use sentence::{SentenceEncoder, SentenceEncoderOn};
pub use taps::{Captured, Taps};
