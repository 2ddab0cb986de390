//! Where language models are reached: one file for each kind of provider, and what all have in common around it.

use std::{fmt::Debug, time::Duration};

use futures::future::BoxFuture;
use latentd_domain::{Reason, autointerp::Capabilities};

use crate::{Call, call::Exchanged};

/// Why a call of a provider failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
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
    /// Yes.
    Soon,
    /// Yes, but not before so long: Retry-After.
    After(Duration),
}

/// Something that answers calls. Cheap to clone behind an `Arc`; one call is one exchange with the language model, never repeated
/// here.
pub trait Provider: Debug + Send + Sync {
    /// Endpoint and model, without keys: calls of equal identity and content are the same exchange.
    fn identity(&self) -> &str;

    /// What the provider calls its model.
    fn model(&self) -> &str;

    /// Makes one call. `key` tells repetitions of it apart from new ones (`Idempotency-Key`).
    fn call<'a>(&'a self, call: &'a Call, key: &'a str) -> BoxFuture<'a, Result<Exchanged, CallError>>;

    /// Finds out what it can do.
    fn probe(&self) -> BoxFuture<'_, Result<Capabilities, CallError>>;
}
