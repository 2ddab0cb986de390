//! What an endpoint wants otherwise than most: OpenAI's newer models refuse `max_tokens` and any temperature but their own. Learned
//! from the first refusal, which costs nothing, and kept for as long as the endpoint is used.

use std::sync::atomic::{AtomicU8, Ordering};

use latentd_domain::Reason;
use serde_json::{Value, json};

use crate::{Chat, provider::CallError};

/// The longest answer is called `max_completion_tokens`.
const COMPLETION_TOKENS: u8 = 1;
/// The temperature is the model's own.
const OWN_TEMPERATURE: u8 = 2;

/// What was learned of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Dialect(AtomicU8);

/// The dialect that a request was written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spoken(u8);

impl Dialect {
    /// How to write the next request.
    pub(super) fn now(&self) -> Spoken {
        Spoken(self.0.load(Ordering::Relaxed))
    }

    /// Learns from a refusal of a request that was written in `spoken`. Returns whether it is worth to write it anew.
    pub(super) fn learn(&self, spoken: Spoken, refusal: &CallError) -> bool {
        if refusal.reason != Reason::ProviderRejected {
            return false;
        }
        let mut wanted = spoken.0;
        if refusal.detail.contains("max_completion_tokens") {
            wanted |= COMPLETION_TOKENS;
        }
        if refusal.detail.contains("temperature") {
            wanted |= OWN_TEMPERATURE;
        }
        self.0.fetch_or(wanted, Ordering::Relaxed);
        wanted != spoken.0
    }
}

impl Spoken {
    /// The fields of a request that depend on it.
    pub(super) fn fields(self, chat: &Chat) -> Vec<(&'static str, Value)> {
        let longest = if self.0 & COMPLETION_TOKENS == 0 {
            "max_tokens"
        } else {
            "max_completion_tokens"
        };
        let mut fields = vec![(longest, json!(chat.max_tokens))];
        if self.0 & OWN_TEMPERATURE == 0 {
            fields.push(("temperature", json!(chat.temperature)));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(detail: &str) -> CallError {
        CallError::never(Reason::ProviderRejected, detail)
    }

    #[test]
    fn what_is_refused_is_said_otherwise_once() {
        let dialect = Dialect::default();
        let first = dialect.now();
        assert!(!dialect.learn(first, &refusal("the prompt is too long")));
        let unsupported = refusal("'max_tokens' is not supported, use 'max_completion_tokens'");
        assert!(dialect.learn(first, &unsupported));
        // Another call that was written before is worth another try, too; the same again is not.
        assert!(dialect.learn(first, &unsupported));
        let second = dialect.now();
        assert!(!dialect.learn(second, &unsupported));
        assert!(dialect.learn(second, &refusal("'temperature' does not support 0")));
        let chat = Chat {
            messages: vec![],
            temperature: 0.0,
            max_tokens: 5,
            seed: 0,
            schema: None,
            top_logprobs: 0,
        };
        let fields = dialect.now().fields(&chat);
        assert_eq!(fields, [("max_completion_tokens", json!(5))]);
    }
}
