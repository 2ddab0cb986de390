//! Continuations of text: `POST /completions`, which vLLM, llama.cpp and others have beside conversations.

use latentd_domain::{Reason, autointerp::Field};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    OpenAi,
    chat::{fields, seed},
    dialect::Form,
    http::Path,
    wire::{self, WireUsage},
};
use crate::{
    Reply,
    call::{Complete, Exchanged},
    provider::{CallError, limit},
};

/// Path of completions.
pub(super) const COMPLETIONS: Path = Path::Api("/completions");

#[derive(Debug, Deserialize)]
struct CompleteReply {
    choices: Vec<CompleteChoice>,
    usage: Option<WireUsage>,
}

#[derive(Debug, Deserialize)]
struct CompleteChoice {
    #[serde(default)]
    text: Option<String>,
}

impl OpenAi {
    /// The continuation of a text.
    pub(super) async fn complete(
        &self,
        complete: &Complete,
        key: &str,
    ) -> Result<Exchanged, CallError> {
        let prompt = limit::tokens(complete.prompt.len());
        let max_tokens = self.within_context(complete.max_tokens, prompt);
        let body = |form: Form| body(&self.model, complete, (form, max_tokens));
        let reply: CompleteReply = self.spoken(COMPLETIONS, key, max_tokens, body).await?;
        let Some(choice) = reply.choices.into_iter().next() else {
            return Err(CallError::soon(
                Reason::ProviderMalformedReply,
                "the reply holds no continuation: choices is empty",
            ));
        };
        let text = choice.text.unwrap_or_default();
        let usage = wire::usage(reply.usage, prompt, text.len());
        Ok(Exchanged {
            reply: Reply::Complete(complete.cut(&text)),
            usage,
        })
    }
}

fn body(model: &str, complete: &Complete, (form, max_tokens): (Form, u32)) -> Value {
    let optional = [
        (Field::Seed, json!(seed(complete.seed))),
        (Field::Stream, json!(false)),
        (Field::Temperature, json!(complete.temperature)),
        (Field::Stop, json!([complete.stop])),
    ];
    let mut body = json!({ "model": model, "prompt": complete.prompt });
    if let Some(body) = body.as_object_mut() {
        let fields = fields(form, max_tokens, optional);
        body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sent_as_it_is() {
        let complete = Complete {
            prompt: "Words: a\nTheme:".to_owned(),
            stop: "\n".to_owned(),
            temperature: 0.0,
            max_tokens: 12,
            seed: 7,
        };
        let sent = body("m", &complete, (Form::default(), 12));
        assert_eq!(
            (&sent["prompt"], &sent["stop"]),
            (&json!("Words: a\nTheme:"), &json!(["\n"]))
        );
        assert_eq!(
            (&sent["max_tokens"], &sent["seed"]),
            (&json!(12), &json!(7))
        );
        // Where it cannot be told to stop, the rest is left out here.
        assert_eq!(complete.cut(" letters\nWords: b"), " letters");
    }
}
