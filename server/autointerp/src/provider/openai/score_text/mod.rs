//! Log-probabilities of given text, in the three ways that endpoints offer.

mod align;
mod echo;
mod llama_cpp;
mod vllm;

use latentd_domain::Reason;

use super::OpenAi;
use crate::{
    Reply, ScoreText,
    call::{Context, Exchanged},
    provider::CallError,
};

/// Alternatives that an endpoint of OpenAI's own gives at most.
const FEW: u8 = 5;
/// Alternatives that simulation asks for, and vLLM gives at most by default.
const MANY: u8 = 20;

/// How an endpoint gives the log-probabilities of a given text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// `prompt_logprobs` of vLLM.
    Vllm,
    /// `echo` and `logprobs` of OpenAI's completions, with at most so many alternatives.
    Echo(u8),
    /// The text's own tokens are forced by a grammar in llama.cpp.
    LlamaCpp,
}

impl Method {
    /// Its name in the log.
    fn as_str(self) -> &'static str {
        match self {
            Self::Vllm => "prompt_logprobs",
            Self::Echo(_) => "echo",
            Self::LlamaCpp => "grammar",
        }
    }
}

impl OpenAi {
    /// Log-probabilities of a text.
    pub(super) async fn score_text(
        &self,
        score: &ScoreText,
        key: &str,
    ) -> Result<Exchanged, CallError> {
        let Some(method) = self.method().await? else {
            return Err(CallError::never(
                Reason::ProviderLacksCapability,
                "the endpoint gives no log-probabilities of given text",
            ));
        };
        self.score_by(method, score, key).await
    }

    async fn score_by(
        &self,
        method: Method,
        score: &ScoreText,
        key: &str,
    ) -> Result<Exchanged, CallError> {
        let (tokens, usage) = match method {
            Method::Vllm => vllm::score(self, score, key).await?,
            Method::Echo(most) => echo::score(self, score, most, key).await?,
            Method::LlamaCpp => llama_cpp::score(self, score, key).await?,
        };
        if tokens.is_empty() && !score.text.is_empty() {
            return Err(malformed("the reply holds no log-probabilities"));
        }
        Ok(Exchanged {
            reply: Reply::ScoreText(tokens),
            usage,
        })
    }

    /// The way that works, found out once; `None` if none does.
    pub(super) async fn method(&self) -> Result<Option<Method>, CallError> {
        let found = self.method.get_or_try_init(|| self.find_method());
        found.await.copied()
    }

    async fn find_method(&self) -> Result<Option<Method>, CallError> {
        let methods = [
            Method::Vllm,
            Method::Echo(MANY),
            Method::Echo(FEW),
            Method::LlamaCpp,
        ];
        for method in methods {
            let score = ScoreText {
                context: Context::Text("One two three".to_owned()),
                text: " four five".to_owned(),
                top: MANY,
            };
            let key = format!("probe {} {method:?}", self.identity);
            match self.score_by(method, &score, &key).await {
                Ok(_) => return Ok(Some(method)),
                Err(error) if says_no(&error) => {
                    tracing::debug!(
                        method = method.as_str(),
                        detail = error.detail,
                        "no log-probabilities this way"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// Whether a failure of a first try says that an endpoint cannot do a thing, and not that it cannot be asked now.
pub(super) fn says_no(error: &CallError) -> bool {
    matches!(
        error.reason,
        Reason::ProviderRejected
            | Reason::ProviderNotFound
            | Reason::ProviderFailed
            | Reason::ProviderMalformedReply
    )
}

fn malformed(detail: impl Into<String>) -> CallError {
    CallError::soon(Reason::ProviderMalformedReply, detail)
}
