//! Where language models are reached: one file for each kind of provider, and what all have in common around it.
//!
//! A [`Provider`] makes one exchange. [`limit::Limited`] keeps it within its limits, [`retry::call`] repeats what is worth it:
//!
//! ```text
//! retry::call → Limited (a share of the cluster's limits) → OpenAi, a local model, Scripted
//! ```
//!
//! What [`retry::call`] returns says what becomes of the work, in [`CallError::again`]: [`Again::After`] puts it back into the
//! queue, [`Again::Never`] makes it a failure that is stored and counted. [`Again::Soon`] is repeated there and never returned.

use std::{fmt::Debug, time::Duration};

use futures::future::BoxFuture;
use latentd_domain::{HasReason, Reason, autointerp::Capabilities};

use crate::{Call, call::Exchanged};

mod bucket;
#[cfg(any(test, feature = "test-support"))]
pub mod faults;
pub mod key;
pub mod limit;
pub mod openai;
pub mod retry;
pub mod scripted;

/// Why a call of a provider failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct CallError {
    /// The reason, as clients see it.
    pub reason: Reason,
    /// What exactly, for people. Never holds a key.
    pub detail: String,
    /// Whether the same call may succeed later, and when at the earliest.
    pub again: Again,
}

/// Whether a call that failed may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// No: it would fail in the same way.
    Never,
    /// Yes, at once.
    Soon,
    /// Yes, but not before so long: Retry-After.
    After(Duration),
}

impl CallError {
    /// A failure that comes again however often the call is made.
    pub fn never(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            again: Again::Never,
        }
    }

    /// A failure that may be over in a moment.
    pub fn soon(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            again: Again::Soon,
            ..Self::never(reason, detail)
        }
    }

    /// A failure that lasts for so long.
    pub fn after(reason: Reason, detail: impl Into<String>, wait: Duration) -> Self {
        Self {
            again: Again::After(wait),
            ..Self::never(reason, detail)
        }
    }

    /// Whether every call of this provider would fail so: its key, its path or its model is wrong. A job that goes on would
    /// only collect failures.
    pub const fn is_of_the_provider(&self) -> bool {
        matches!(
            self.reason,
            Reason::ProviderUnauthorized | Reason::ProviderNotFound | Reason::ProviderKeyMissing
        )
    }
}

impl HasReason for CallError {
    fn reason(&self) -> Reason {
        self.reason
    }
}

/// Something that answers calls. Cheap to clone behind an `Arc`; one call is one exchange with the language model, never repeated
/// here.
pub trait Provider: Debug + Send + Sync {
    /// Endpoint and model, without keys: calls of equal identity and content are the same exchange.
    fn identity(&self) -> &str;

    /// What the provider calls its model.
    fn model(&self) -> &str;

    /// Makes one call. `key` tells repetitions of it apart from new ones (`Idempotency-Key`).
    fn call<'a>(
        &'a self,
        call: &'a Call,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Exchanged, CallError>>;

    /// Finds out what it can do.
    fn probe(&self) -> BoxFuture<'_, Result<Capabilities, CallError>>;
}
