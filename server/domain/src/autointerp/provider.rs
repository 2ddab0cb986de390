//! What is known of a provider of a language model, and what using it costs.

use serde::{Deserialize, Serialize};

use super::Refused;

/// How a provider is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// An HTTP endpoint of OpenAI's API.
    Openai,
    /// A model that is resident in the server.
    Local,
}

/// What a provider can do beyond answering text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// It answers in JSON of a given schema.
    pub json_schema: bool,
    /// It gives the log-probabilities of the tokens that it generates.
    pub chat_logprobs: bool,
    /// It gives the log-probabilities of the tokens of a given text.
    pub prompt_logprobs: bool,
    /// Longest prompt and answer together, in tokens; 0 if it is not known.
    pub context_length: u32,
    /// What it refuses, and is therefore not sent.
    pub refused: Refused,
}

/// What may be asked of a provider, by all servers on one database together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Calls under way at once.
    pub max_in_flight: u32,
    /// Calls a minute; 0 for no limit.
    pub requests_per_minute: u32,
    /// Tokens a minute; 0 for no limit.
    pub tokens_per_minute: u64,
    /// Seconds that one call may take.
    pub timeout_seconds: u32,
    /// Longest answer of one call, in tokens, thinking included, where a job does not say.
    #[serde(default = "max_tokens")]
    pub max_tokens: u32,
}

/// Longest answer of an endpoint that was registered before it could be said.
const fn max_tokens() -> u32 {
    MAX_TOKENS
}

/// Longest answer of an endpoint, if nobody says: reasoning models think for some thousand tokens.
pub const MAX_TOKENS: u32 = 4096;
/// Longest answer of a resident model, if nobody says: small models go on and on.
pub const MAX_TOKENS_LOCAL: u32 = 512;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            timeout_seconds: 600,
            max_tokens: MAX_TOKENS,
        }
    }
}

/// Prices, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Of a prompt.
    pub prompt_per_million: f64,
    /// Of an answer.
    pub completion_per_million: f64,
}

impl Prices {
    /// What `usage` costs, in millionths of a US dollar.
    pub fn micros(&self, usage: Usage) -> i64 {
        let dollars = self.prompt_per_million * usage.prompt_tokens as f64
            + self.completion_per_million * usage.completion_tokens as f64;
        dollars.round() as i64
    }
}

/// Tokens that a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_tokens_cost_their_price() {
        let prices = Prices {
            prompt_per_million: 0.5,
            completion_per_million: 2.0,
        };
        let usage = Usage {
            prompt_tokens: 1_000_000,
            completion_tokens: 500_000,
        };
        assert_eq!(prices.micros(usage), 1_500_000);
    }
}
