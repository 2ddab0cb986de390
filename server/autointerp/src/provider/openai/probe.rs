//! Finds out what an endpoint can do, by asking it small things.

use latentd_domain::{
    Reason,
    autointerp::{Capabilities, Refused},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OpenAi, http::Path, score_text::says_no};
use crate::{
    Chat, Message, Reply,
    call::{Answer, Exchanged},
    parse,
    provider::CallError,
};

/// Everything: what is asked for in a probe must be sent.
const ALL: Capabilities = Capabilities {
    json_schema: true,
    chat_logprobs: true,
    prompt_logprobs: true,
    context_length: 0,
    refused: Refused::from_bits(0),
};

#[derive(Debug, Deserialize)]
struct Models {
    #[serde(default)]
    data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    /// Of vLLM.
    #[serde(default)]
    max_model_len: Option<u32>,
    /// Of OpenRouter.
    #[serde(default)]
    context_length: Option<u32>,
    /// Of llama.cpp.
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default, rename = "n_ctx")]
    context_length: Option<u32>,
    #[serde(default, rename = "n_ctx_train")]
    trained_context_length: Option<u32>,
}

impl Model {
    fn length(&self) -> Option<u32> {
        let meta = self.meta.as_ref();
        let of_llama = || meta.and_then(|meta| meta.context_length.or(meta.trained_context_length));
        self.max_model_len.or(self.context_length).or_else(of_llama)
    }
}

impl OpenAi {
    /// What the endpoint can do. Fails if it does not even answer a question in the form of real ones: with rules before it.
    pub(super) async fn find_capabilities(&self) -> Result<Capabilities, CallError> {
        let answer = self.ask("question", question()).await?;
        if answer.cut_off && answer.text.trim().is_empty() {
            let what = format!(
                "a greeting was not answered within {} tokens: all of them went into thinking; raise limits.max_tokens",
                self.max_tokens
            );
            return Err(CallError::never(Reason::AnswerCutOff, what));
        }
        let with_logprobs = Chat {
            top_logprobs: 5,
            ..question()
        };
        let chat_logprobs = self
            .can("logprobs", with_logprobs, |answer| {
                answer.tokens.iter().any(|token| !token.top.is_empty())
            })
            .await?;
        let json_schema = self.can("schema", in_a_schema(), is_in_schema).await?;
        Ok(Capabilities {
            json_schema,
            chat_logprobs,
            prompt_logprobs: self.method().await?.is_some(),
            context_length: self.context_length().await,
            refused: self.dialect.now(),
        })
    }

    /// An answer, with all the room that the provider gives if a short one was cut off while the model was thinking.
    async fn ask(&self, what: &str, chat: Chat) -> Result<Answer, CallError> {
        let short = self.ask_within(what, chat.clone()).await?;
        let reply = Reply::Chat(short.clone());
        if !is_thinking(&reply) || self.max_tokens <= chat.max_tokens {
            return Ok(said(short));
        }
        let chat = Chat {
            max_tokens: self.max_tokens,
            ..chat
        };
        Ok(said(
            self.ask_within(&format!("{what} at length"), chat).await?,
        ))
    }

    async fn ask_within(&self, what: &str, chat: Chat) -> Result<Answer, CallError> {
        let key = format!("probe {} {what}", self.identity);
        match self.chat(&chat, ALL, &key).await? {
            Exchanged {
                reply: Reply::Chat(answer),
                ..
            } => Ok(answer),
            Exchanged { .. } => Err(CallError::never(
                Reason::ProviderMalformedReply,
                "the reply is not an answer",
            )),
        }
    }

    async fn can(
        &self,
        what: &str,
        chat: Chat,
        shows: impl Fn(&Answer) -> bool,
    ) -> Result<bool, CallError> {
        match self.ask(what, chat).await {
            Ok(answer) => Ok(shows(&answer)),
            Err(error) if says_no(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The model's context; 0 if the endpoint does not say. It is not worth failing for.
    async fn context_length(&self) -> u32 {
        let models = self.http.get::<Models>(Path::Api("/models")).await;
        let models = models.map(|models| models.data).unwrap_or_default();
        let named = models.iter().find(|model| model.id == self.model);
        // llama.cpp serves one model under every name.
        let only = || models.first().filter(|model| model.meta.is_some());
        let model = named.or_else(only);
        model.and_then(Model::length).unwrap_or(0)
    }
}

/// Whether an answer was cut off before there was anything of it but thinking.
fn is_thinking(reply: &Reply) -> bool {
    match parse::answer(reply) {
        Ok(said) => said.cut_off && said.text.is_empty(),
        Err(failure) => failure.reason == Reason::AnswerCutOff,
    }
}

/// An answer without thinking.
fn said(answer: Answer) -> Answer {
    let reply = Reply::Chat(answer);
    let (text, cut_off) = match parse::answer(&reply) {
        Ok(said) => (said.text.to_owned(), said.cut_off),
        Err(failure) => (String::new(), failure.reason == Reason::AnswerCutOff),
    };
    match reply {
        Reply::Chat(answer) => Answer {
            text,
            cut_off,
            ..answer
        },
        Reply::Complete(_) | Reply::ScoreText(_) | Reply::Embed(_) => Answer::default(),
    }
}

/// As real calls are: rules, and a question.
fn question() -> Chat {
    Chat {
        messages: vec![
            Message::system("You answer in few words."),
            Message::user("Say hello."),
        ],
        temperature: 0.0,
        max_tokens: 16,
        seed: 0,
        schema: None,
        top_logprobs: 0,
    }
}

/// Only an endpoint that holds answers to the schema says this.
fn in_a_schema() -> Chat {
    let number = json!({ "type": "integer", "enum": [1729] });
    Chat {
        max_tokens: 64,
        schema: Some(json!({
            "type": "object",
            "properties": { "number": number },
            "required": ["number"],
            "additionalProperties": false,
        })),
        ..question()
    }
}

fn is_in_schema(answer: &Answer) -> bool {
    let answer = serde_json::from_str::<Value>(answer.text.trim());
    answer.is_ok_and(|answer| answer.get("number") == Some(&json!(1729)))
}
