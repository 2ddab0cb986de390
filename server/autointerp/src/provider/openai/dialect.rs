//! What an endpoint wants otherwise than most. Each part of a request that it can do without is left out, or said in another way,
//! once the endpoint has refused it. Refusals cost nothing. What was learned holds for as long as the endpoint is used, and is
//! stored with what a probe found out.
//!
//! A refusal is a text for people, and every kind of endpoint has its own. So what it names is only suspected: the request is
//! written without it, and the suspicion is kept if that was answered.

use std::sync::atomic::{AtomicU16, Ordering};

use latentd_domain::{
    Reason,
    autointerp::{Field, Refused},
};
use serde_json::Value;

use super::{http::Failed, room::room};

/// How each field is named in refusals, in lower case: by OpenAI and Azure, vLLM and SGLang, llama.cpp, OpenRouter, Mistral,
/// Gemini, Groq, Together and TGI, and in chat templates.
const NAMES: [(Field, &[&str]); 8] = [
    (
        Field::System,
        &[
            "system role",
            "system message",
            "system prompt",
            "system instruction",
            "developer instruction",
            "'system'",
            "\"system\"",
            "`system`",
            "role:system",
            "role: system",
            "role system",
            "roles must alternate",
            "only user and assistant roles",
            "'user' or 'assistant'",
            "user, assistant",
            "incorrect role",
            "invalid role",
            "unexpected role",
            "unknown role",
            "unsupported role",
            "messages[0].role",
            "messages.0.role",
        ],
    ),
    (Field::Seed, &["seed"]),
    (
        Field::ResponseFormat,
        &[
            "response_format",
            "response format",
            "responseformat",
            "response_schema",
            "json_schema",
            "json schema",
            "json mode",
            "structured output",
            "guided_json",
            "guided decoding",
            "grammar",
            "requested parameters",
        ],
    ),
    (
        Field::TopLogprobs,
        &["top_logprobs", "toplogprobs", "top logprobs"],
    ),
    (
        Field::Logprobs,
        &[
            "logprobs",
            "log probs",
            "log probabilities",
            "log-probabilities",
            "requested parameters",
        ],
    ),
    (Field::Temperature, &["temperature"]),
    (
        Field::Stream,
        &["'stream'", "\"stream\"", "`stream`", "stream parameter"],
    ),
    (
        Field::Stop,
        &["'stop'", "\"stop\"", "`stop`", "stop sequence"],
    ),
];

/// Words of refusals, where the status alone does not tell one from a failure of the endpoint.
const REFUSING: [&str; 12] = [
    "support",
    "unknown",
    "unexpected",
    "allowed",
    "permitted",
    "invalid",
    "must",
    "extra",
    "only",
    "cannot",
    "enabled",
    "incorrect",
];

/// What was learned of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Dialect(AtomicU16);

impl Dialect {
    /// What was learned before.
    pub(super) fn new(refused: Refused) -> Self {
        Self(AtomicU16::new(refused.bits()))
    }

    /// What to leave out of the next request.
    pub(super) fn now(&self) -> Refused {
        Refused::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Keeps what a request lacked that was answered.
    pub(super) fn keep(&self, refused: Refused) {
        self.0.fetch_or(refused.bits(), Ordering::Relaxed);
    }
}

/// How a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// What it lacks.
    pub(super) without: Refused,
    /// Most tokens that it asks for, where the endpoint has less room than the call wants.
    pub(super) room: Option<u32>,
}

impl Form {
    /// How to write a request anew that asked for `max_tokens` at most, written in this form, and was refused; `None` if the
    /// refusal gives no reason to.
    pub(super) fn after(self, refusal: &Failed, max_tokens: u32) -> Option<Self> {
        let reason = refusal.error.reason;
        let is_of_request = matches!(reason, Reason::ProviderRejected | Reason::ProviderNotFound);
        if !is_of_request && reason != Reason::ProviderFailed {
            return None;
        }
        let text = said(&refusal.body);
        if !is_of_request && !REFUSING.iter().any(|word| text.contains(word)) {
            return None;
        }
        if let Some(room) = room(&text, self.room.unwrap_or(max_tokens)) {
            let room = Some(room);
            return Some(Self { room, ..self });
        }
        let without = suspects(&text, self.without);
        (without != self.without).then_some(Self { without, ..self })
    }
}

/// The fields that a refusal names, with those that are left out already.
fn suspects(text: &str, without: Refused) -> Refused {
    let mut found = without;
    // What is a part of a longer name is not named itself.
    let longer = ["top_logprobs", "toplogprobs", "prompt_logprobs"];
    let shorter = longer
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(name, ""));
    for (field, names) in NAMES {
        let text = if field == Field::Logprobs {
            &shorter
        } else {
            text
        };
        if names.iter().any(|name| text.contains(name)) {
            found = found.with(field);
        }
    }
    let older = text
        .replace("max_completion_tokens", "")
        .contains("max_tokens");
    if older && !without.has(Field::MaxTokens) {
        found = found.with(Field::MaxTokens);
    } else if text.contains("max_completion_tokens") || older {
        let newer = if without.has(Field::MaxTokens) {
            Field::MaxCompletionTokens
        } else {
            Field::MaxTokens
        };
        found = found.with(newer);
    }
    found
}

/// What a refusal says, in lower case, without what it repeats of the request.
fn said(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return String::from_utf8_lossy(body).to_lowercase();
    };
    let mut text = String::new();
    gather(&value, &mut text);
    text.to_lowercase()
}

/// Fields that name what is refused. What they hold is put in quotes, as names are in sentences.
const NAMING: [&str; 2] = ["param", "loc"];

fn gather(value: &Value, text: &mut String) {
    match value {
        Value::String(said) => {
            text.push_str(said);
            text.push(' ');
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, text)),
        Value::Object(fields) => {
            let repeated = ["input", "inputs", "request", "messages", "prompt"];
            let said = fields
                .iter()
                .filter(|(name, _)| !repeated.contains(&name.as_str()));
            for (name, value) in said {
                if NAMING.contains(&name.as_str()) {
                    gather_names(value, text);
                } else {
                    gather(value, text);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn gather_names(value: &Value, text: &mut String) {
    match value {
        Value::String(name) => text.extend(["'", name, "' "]),
        Value::Array(values) => values.iter().for_each(|value| gather_names(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::CallError;

    fn refusal(body: &str) -> Failed {
        Failed {
            error: CallError::never(Reason::ProviderRejected, "HTTP 400"),
            body: body.as_bytes().to_vec(),
        }
    }

    fn named(body: &str) -> Vec<&'static str> {
        let form = Form::default().after(&refusal(body), 4096);
        let without = form.map(|form| form.without).unwrap_or_default();
        without.fields().map(Field::as_str).collect()
    }

    #[test]
    fn what_endpoints_say_of_each_field() {
        for (body, fields) in [
            // vLLM with Gemma 2, SGLang.
            (
                r#"{"object":"error","message":"System role not supported","type":"BadRequestError","param":null,"code":400}"#,
                vec!["system"],
            ),
            // OpenAI.
            (
                r#"{"error":{"message":"Unsupported value: 'messages[0].role' does not support 'system' with this model.","type":"invalid_request_error","param":"messages[0].role","code":"unsupported_value"}}"#,
                vec!["system"],
            ),
            // Gemini, by OpenRouter.
            (
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"Developer instruction is not enabled for models/gemma-3-1b-it\"}}"}}}"#,
                vec!["system"],
            ),
            (
                r#"{"errors":[{"loc":["body","messages",0,"role"],"msg":"Input should be 'user' or 'assistant'","type":"literal_error"}]}"#,
                vec!["system"],
            ),
            // Chat templates, in llama.cpp and TGI.
            (
                r#"{"error":"Template error: Only user and assistant roles are supported!","error_type":"template_error"}"#,
                vec!["system"],
            ),
            (
                r#"{"error":{"code":400,"message":"Conversation roles must alternate user/assistant/user/assistant/..."}}"#,
                vec!["system"],
            ),
            // Mistral.
            (
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":7}]},"type":"invalid_request_error"}"#,
                vec!["seed"],
            ),
            // Gemini.
            (
                r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"seed\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
                vec!["seed"],
            ),
            (
                r#"{"error":{"code":400,"message":"Unable to submit request because Logprobs is not supported for this model."}}"#,
                vec!["logprobs"],
            ),
            // vLLM on Gaudi.
            (
                r#"{"error":{"message":"Gaudi doesn't support logprobs. Please remove 'logprobs'/'top_logprobs' from your request to receive a response."}}"#,
                vec!["logprobs", "top_logprobs"],
            ),
            (
                r#"{"error":{"message":"'top_logprobs' is not supported","param":"top_logprobs"}}"#,
                vec!["top_logprobs"],
            ),
            // Groq, DeepSeek.
            (
                r#"{"error":{"message":"The model only supports response formats: [json text]."}}"#,
                vec!["response_format"],
            ),
            (
                r#"{"error":{"message":"This response_format type is unavailable now"}}"#,
                vec!["response_format"],
            ),
            // OpenAI.
            (
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}}"#,
                vec!["max_tokens"],
            ),
            (
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.","param":"temperature"}}"#,
                vec!["temperature"],
            ),
            (
                r#"{"error":{"message":"Unrecognized request argument supplied: stop","param":"stop"}}"#,
                vec!["stop"],
            ),
            // Of the request itself, whatever it holds.
            (
                r#"{"error":{"message":"the prompt is not allowed"}}"#,
                vec![],
            ),
            (
                r#"{"detail":[{"loc":["body"],"msg":"bad","input":{"messages":[{"role":"system","content":"seed"}]}}]}"#,
                vec![],
            ),
            ("<html>no</html>", vec![]),
        ] {
            assert_eq!(named(body), fields, "{body}");
        }
    }

    #[test]
    fn a_failure_of_the_endpoint_is_no_refusal() {
        let failed = |body: &str| {
            let error = CallError::soon(Reason::ProviderFailed, "HTTP 500");
            let failed = Failed {
                error,
                body: body.as_bytes().to_vec(),
            };
            Form::default().after(&failed, 4096)
        };
        assert_eq!(
            failed(r#"{"error":{"message":"out of memory at seed 7"}}"#),
            None
        );
        let template =
            r#"{"error":{"code":500,"message":"System role not supported","type":"server_error"}}"#;
        assert!(failed(template).unwrap().without.has(Field::System));
        let limited = Failed {
            error: CallError::soon(Reason::ProviderRateLimited, "429"),
            body: br#"{"error":{"message":"system role not supported"}}"#.to_vec(),
        };
        assert_eq!(Form::default().after(&limited, 4096), None);
    }

    #[test]
    fn what_was_left_out_in_vain_is_no_reason_to_ask_again() {
        let text = refusal(r#"{"message":"System role not supported"}"#);
        let form = Form::default().after(&text, 100).unwrap();
        assert_eq!(form.after(&text, 100), None);
        // An endpoint that knows neither name of the longest answer is told none.
        let tokens = refusal(r#"{"message":"Unknown field max_tokens"}"#);
        let form = Form::default().after(&tokens, 100).unwrap();
        let tokens = refusal(r#"{"message":"Unknown field max_completion_tokens"}"#);
        let form = form.after(&tokens, 100).unwrap();
        assert!(form.without.has(Field::MaxTokens) && form.without.has(Field::MaxCompletionTokens));
        assert_eq!(form.after(&tokens, 100), None);
    }
}
