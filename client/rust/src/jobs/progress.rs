//! How far a job is, and what it cost.

use std::time::Duration;

use latentd_proto::v1 as proto;
use serde::Serialize;

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What it does now, such as `tokenizing` or `encoding`.
    pub phase: String,
    /// What is counted: `tokens`, or `items` of a job that explains and scores. An item is the explanation of one latent,
    /// or one scorer's work on it.
    pub unit: String,
    /// Units done and committed.
    pub done: u64,
    /// Units in all; 0 while it is not known.
    pub total: u64,
    /// Units a second.
    pub rate: f64,
    /// Time to go at that rate, if it can be told.
    #[serde(rename = "eta_seconds", serialize_with = "crate::time::some_seconds")]
    pub eta: Option<Duration>,
    /// Items that could not be done, of those that are done.
    pub failed: u64,
    /// Items of latents that are left out, of those that are done.
    pub skipped: u64,
    /// What it cost so far; only of jobs that call providers.
    pub spent: Option<Spent>,
    /// Why items failed or were left out, those with the most items first; only of jobs that explain and score.
    pub reasons: Vec<ItemReason>,
    /// What is not as the caller may think, in words.
    pub warnings: Vec<String>,
}

/// Items of a job that ended alike without a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ItemReason {
    /// Error reason, such as `TOO_FEW_EXAMPLES`.
    pub reason: String,
    /// They failed; otherwise there was nothing to do for them.
    pub failed: bool,
    /// How many items.
    pub items: u64,
    /// What exactly became of the first of them, for people.
    pub detail: String,
    /// Some of their latents, lowest first.
    pub latents: Vec<u32>,
}

/// What a job cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Calls of providers.
    pub calls: u64,
    /// Exchanges that were taken from the store instead of calling again.
    pub reused: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// US dollars, by the providers' prices.
    pub dollars: f64,
}

impl Spent {
    /// Tokens of prompts and answers together.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

impl From<proto::Progress> for Progress {
    fn from(progress: proto::Progress) -> Self {
        let eta = progress
            .eta_seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self {
            phase: progress.phase,
            unit: progress.unit,
            done: progress.done,
            total: progress.total,
            rate: progress.rate,
            eta,
            failed: progress.failed,
            skipped: progress.skipped,
            spent: progress.spent.map(Spent::from),
            reasons: progress.reasons.into_iter().map(ItemReason::from).collect(),
            warnings: progress.warnings,
        }
    }
}

impl From<proto::ItemReason> for ItemReason {
    fn from(reason: proto::ItemReason) -> Self {
        let proto::ItemReason {
            reason,
            failed,
            items,
            detail,
            latents,
        } = reason;
        Self {
            reason,
            failed,
            items,
            detail,
            latents,
        }
    }
}

impl From<proto::Spent> for Spent {
    fn from(spent: proto::Spent) -> Self {
        let proto::Spent {
            calls,
            reused,
            prompt_tokens,
            completion_tokens,
            dollars,
        } = spent;
        Self {
            calls,
            reused,
            prompt_tokens,
            completion_tokens,
            dollars,
        }
    }
}
