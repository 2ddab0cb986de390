//! A provider that answers from a function: for tests, and for oracles that know the truth.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use latentd_domain::autointerp::{Capabilities, Usage};

use super::{CallError, Provider, limit};
use crate::{Call, Chat, Message, Reply, call::Exchanged};

type Answers = dyn Fn(&Call) -> Result<Reply, CallError> + Send + Sync;

/// Answers calls from a function, and counts them.
pub struct Scripted {
    identity: String,
    answers: Box<Answers>,
    capabilities: Capabilities,
    delay: Duration,
    by_key: Mutex<BTreeMap<String, usize>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("identity", &self.identity)
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

impl Scripted {
    /// A provider that can do everything and answers at once.
    pub fn new(
        answers: impl Fn(&Call) -> Result<Reply, CallError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            identity: "scripted".to_owned(),
            answers: Box::new(answers),
            capabilities: Capabilities {
                json_schema: true,
                chat_logprobs: true,
                prompt_logprobs: true,
                ..Capabilities::default()
            },
            delay: Duration::ZERO,
            by_key: Mutex::default(),
        }
    }

    /// Another identity.
    #[must_use]
    pub fn with_identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = identity.into();
        self
    }

    /// What it says that it can do.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// How long each answer takes.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Calls that were made.
    pub fn calls(&self) -> usize {
        self.counts().values().sum()
    }

    /// Calls that were made with each key.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.by_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Provider for Scripted {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn model(&self) -> &str {
        &self.identity
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Exchanged, CallError>> {
        async move {
            *self
                .by_key
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.to_owned())
                .or_default() += 1;
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            let reply = (self.answers)(call)?;
            let completion_tokens = match &reply {
                Reply::Chat(answer) => limit::tokens(answer.text.len()),
                Reply::Complete(text) => limit::tokens(text.len()),
                Reply::ScoreText(_) | Reply::Embed(_) => 0,
            };
            let usage = Usage {
                prompt_tokens: limit::prompt_tokens(call),
                completion_tokens,
            };
            Ok(Exchanged { reply, usage })
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Capabilities, CallError>> {
        async { Ok(self.capabilities) }.boxed()
    }
}

/// A call that asks one question, for tests.
pub fn chat(question: &str) -> Call {
    Call::Chat(Chat {
        messages: vec![Message::user(question)],
        temperature: 0.0,
        max_tokens: 100,
        seed: 0,
        schema: None,
        top_logprobs: 0,
    })
}
