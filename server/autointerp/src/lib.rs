//! What language models say that latents mean, and how good that is: explainers, scorers, providers, statistics.
//!
//! Explainers and scorers are pure: given a [`Subject`] each says which [`Call`]s it needs and reads what came back. They know
//! nothing of time, networks or databases. [`provider`] carries calls to where language models are. The jobs of the server
//! join the two, and keep every exchange.
//!
//! ```text
//! examples of a cache → sample::split → Subject → Explainer::plan → Call → provider → Reply → Explainer::read → text
//!                                          └────→ Scorer::plan → Calls → provider → Replies → Scorer::read → Rows → stats
//! ```

pub mod call;
pub mod explainer;
mod parse;
mod prompts;
pub mod provider;
pub mod render;
pub mod row;
pub mod sample;
pub mod scorer;
pub mod similar;
pub mod stats;
pub mod subject;

#[cfg(test)]
mod tests;

pub use call::{Call, Chat, Embed, Message, Reply, Role, ScoreText};
pub use explainer::Explainer;
pub use parse::is_cut_off;
pub use row::{Failure, Row};
pub use scorer::{Plan, Scorer};
pub use subject::{NonActivating, Shown, Skip, Subject, carry};
