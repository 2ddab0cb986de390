//! Replies as they travel: only the fields that are used, and as lenient as the endpoints are different.

use serde::Deserialize;

use latentd_domain::autointerp::Usage;

use crate::{call::TokenLogprob, provider::limit};

/// Reply of chat completions.
#[derive(Debug, Deserialize)]
pub(super) struct ChatReply {
    pub(super) choices: Vec<ChatChoice>,
    pub(super) usage: Option<WireUsage>,
}

/// One answer.
#[derive(Debug, Deserialize)]
pub(super) struct ChatChoice {
    #[serde(default)]
    pub(super) message: Option<WireMessage>,
    pub(super) finish_reason: Option<String>,
    pub(super) logprobs: Option<WireLogprobs>,
    pub(super) error: Option<serde_json::Value>,
}

/// What the model says. What it thinks has fields of its own (`reasoning_content`, `reasoning`), which are no part of the answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireMessage {
    /// Null or absent after a refusal, or where all went into thinking.
    #[serde(default)]
    pub(super) content: Option<Content>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
}

/// An answer's text: some endpoints send it in parts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) text: Option<String>,
}

impl Part {
    /// The text, unless it is of the model's thinking.
    fn into_text(self) -> Option<String> {
        let is_answer = matches!(self.kind.as_deref(), None | Some("text" | "output_text"));
        self.text.filter(|_| is_answer)
    }
}

impl Content {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().filter_map(Part::into_text).collect(),
        }
    }
}

/// Tokens as the endpoint counts them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    pub(super) prompt_tokens: Option<u64>,
    #[serde(default)]
    pub(super) completion_tokens: Option<u64>,
}

/// What a call took: as the endpoint says, or an estimate where it does not, so that a budget ends all the same.
pub(super) fn usage(said: Option<WireUsage>, prompt: u64, answer_bytes: usize) -> Usage {
    let said = said.unwrap_or_default();
    let estimate = || limit::tokens(answer_bytes);
    Usage {
        prompt_tokens: said.prompt_tokens.unwrap_or(prompt),
        completion_tokens: said.completion_tokens.unwrap_or_else(estimate),
    }
}

/// Log-probabilities of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct WireLogprobs {
    pub(super) content: Option<Vec<WireToken>>,
}

/// A token with its log-probability.
#[derive(Debug, Deserialize)]
pub(super) struct WireToken {
    #[serde(default)]
    pub(super) id: Option<u32>,
    pub(super) token: String,
    pub(super) logprob: f32,
    #[serde(default)]
    pub(super) bytes: Option<Vec<u8>>,
    #[serde(default)]
    pub(super) top_logprobs: Option<Vec<WireTop>>,
}

/// An alternative.
#[derive(Debug, Deserialize)]
pub(super) struct WireTop {
    pub(super) token: String,
    pub(super) logprob: f32,
}

impl WireToken {
    pub(super) fn len(&self) -> usize {
        self.bytes.as_ref().map_or(self.token.len(), Vec::len)
    }

    pub(super) fn into_token(self, offset: usize) -> TokenLogprob {
        let top = self.top_logprobs.unwrap_or_default().into_iter();
        TokenLogprob {
            token: self.token,
            offset,
            logprob: self.logprob,
            top: falling(top.map(|top| (top.token, top.logprob)).collect()),
        }
    }
}

/// Alternatives, the likeliest first.
pub(super) fn falling(mut top: Vec<(String, f32)>) -> Vec<(String, f32)> {
    top.sort_by(|a, b| b.1.total_cmp(&a.1));
    top
}

/// Tokens one behind the other, each where the one before it ends.
pub(super) fn in_a_row(tokens: Vec<WireToken>) -> Vec<TokenLogprob> {
    let mut offset = 0;
    tokens
        .into_iter()
        .map(|token| {
            let at = offset;
            offset += token.len();
            token.into_token(at)
        })
        .collect()
}
