//! Conversations: `POST /chat/completions`.

use latentd_domain::{
    Reason,
    autointerp::{Capabilities, Usage},
};
use serde_json::{Value, json};

use super::{
    OpenAi,
    dialect::Spoken,
    http::Path,
    refusal::excerpt,
    wire::{self, ChatChoice, ChatReply},
};
use crate::{
    Chat, Reply,
    call::{Answer, Exchanged},
    provider::{CallError, limit},
};

/// Path of conversations.
pub(super) const CHAT: Path = Path::Api("/chat/completions");

impl OpenAi {
    /// An answer to a conversation. What `can` lacks is not asked for.
    pub(super) async fn chat(
        &self,
        chat: &Chat,
        can: Capabilities,
        key: &str,
    ) -> Result<Exchanged, CallError> {
        let reply: ChatReply = loop {
            let spoken = self.dialect.now();
            let body = body(&self.model, chat, can, spoken);
            match self.http.post(CHAT, &body, key).await {
                // A request that was refused was not answered, and is not paid for.
                Err(refusal) if self.dialect.learn(spoken, &refusal) => {}
                reply => break reply?,
            }
        };
        let contents = chat.messages.iter().map(|message| message.content.len());
        let prompt = limit::tokens(contents.sum());
        let (answer, usage) = read(reply, prompt)?;
        Ok(Exchanged {
            reply: Reply::Chat(answer),
            usage,
        })
    }
}

/// A seed that every endpoint takes: some keep it in 32 bits, with a sign.
pub(super) fn seed(seed: u64) -> u64 {
    seed & 0x7fff_ffff
}

fn body(model: &str, chat: &Chat, can: Capabilities, spoken: Spoken) -> Value {
    let mut body = json!({
        "model": model,
        "messages": chat.messages,
        "seed": seed(chat.seed),
        "stream": false,
    });
    let mut set = |name: &str, value| {
        if let Some(fields) = body.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    for (name, value) in spoken.fields(chat) {
        set(name, value);
    }
    if let Some(schema) = chat.schema.as_ref().filter(|_| can.json_schema) {
        let schema = json!({ "name": "answer", "strict": true, "schema": schema });
        set(
            "response_format",
            json!({ "type": "json_schema", "json_schema": schema }),
        );
    }
    if chat.top_logprobs > 0 && can.chat_logprobs {
        set("logprobs", json!(true));
        set("top_logprobs", json!(chat.top_logprobs));
    }
    body
}

fn read(reply: ChatReply, prompt: u64) -> Result<(Answer, Usage), CallError> {
    // One answer was asked for; of several the first is as good as any.
    let Some(choice) = reply.choices.into_iter().next() else {
        return Err(CallError::soon(
            Reason::ProviderMalformedReply,
            "the reply holds no answer: choices is empty",
        ));
    };
    if let Some(error) = choice.error {
        return Err(CallError::soon(
            Reason::ProviderFailed,
            format!(
                "the answer broke off: {}",
                excerpt(error.to_string().as_bytes())
            ),
        ));
    }
    let answer = answer(choice);
    let usage = wire::usage(reply.usage, prompt, answer.text.len());
    Ok((answer, usage))
}

fn answer(choice: ChatChoice) -> Answer {
    let reason = choice.finish_reason.as_deref();
    let refused = choice.message.refusal.filter(|text| !text.is_empty());
    let refusal = refused.is_some() || reason == Some("content_filter");
    let content = choice.message.content.map(wire::Content::into_text);
    let text = content.filter(|text| !text.is_empty()).or(refused);
    let tokens = choice.logprobs.and_then(|logprobs| logprobs.content);
    Answer {
        text: text.unwrap_or_default(),
        tokens: wire::in_a_row(tokens.unwrap_or_default()),
        cut_off: reason == Some("length"),
        refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    fn chat() -> Chat {
        Chat {
            messages: vec![Message::system("rules"), Message::user("question")],
            temperature: 0.0,
            max_tokens: 30,
            seed: u64::MAX,
            schema: Some(json!({ "type": "object" })),
            top_logprobs: 5,
        }
    }

    #[test]
    fn what_an_endpoint_cannot_do_is_not_asked() {
        let plain = body("m", &chat(), Capabilities::default(), Spoken::default());
        assert!(plain.get("response_format").is_none() && plain.get("logprobs").is_none());
        let can = Capabilities {
            json_schema: true,
            chat_logprobs: true,
            ..Capabilities::default()
        };
        let body =
            serde_json::to_string_pretty(&body("m", &chat(), can, Spoken::default())).unwrap();
        insta::assert_snapshot!(body, @r#"
        {
          "logprobs": true,
          "max_tokens": 30,
          "messages": [
            {
              "content": "rules",
              "role": "system"
            },
            {
              "content": "question",
              "role": "user"
            }
          ],
          "model": "m",
          "response_format": {
            "json_schema": {
              "name": "answer",
              "schema": {
                "type": "object"
              },
              "strict": true
            },
            "type": "json_schema"
          },
          "seed": 2147483647,
          "stream": false,
          "temperature": 0.0,
          "top_logprobs": 5
        }
        "#);
    }

    fn read_text(text: &str) -> Result<(Answer, Usage), String> {
        let reply = serde_json::from_str(text).map_err(|error| error.to_string())?;
        read(reply, 11).map_err(|error| error.detail)
    }

    fn choice(message: &str, finish: &str) -> (Answer, Usage) {
        let text = format!(r#"{{"choices":[{{"message":{message},"finish_reason":"{finish}"}}]}}"#);
        read_text(&text).unwrap()
    }

    #[test]
    fn answers_of_many_kinds() {
        let (answer, usage) = choice(r#"{"content":"12345"}"#, "stop");
        assert_eq!((answer.text.as_str(), answer.cut_off), ("12345", false));
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (11, 2));
        let (answer, _) = choice(r#"{"content":"a"}"#, "length");
        assert!(answer.cut_off && !answer.refusal);
        let (answer, _) = choice(
            r#"{"content":[{"type":"text","text":"a"},{"text":"b"}]}"#,
            "stop",
        );
        assert_eq!(answer.text, "ab");
        let (answer, _) = choice(r#"{"content":null,"refusal":"I cannot"}"#, "stop");
        assert_eq!((answer.text.as_str(), answer.refusal), ("I cannot", true));
        let (answer, _) = choice(r#"{"content":""}"#, "content_filter");
        assert!(answer.refusal);
        let (answer, _) = choice(r#"{"content":null}"#, "stop");
        assert_eq!(answer, Answer::default());
    }

    #[test]
    fn what_is_not_an_answer() {
        assert!(
            read_text(r#"{"choices":[]}"#)
                .unwrap_err()
                .contains("no answer")
        );
        assert!(
            read_text(r#"{"choices":[{"message":{}}]}"#)
                .unwrap_err()
                .contains("content")
        );
        assert!(read_text(r#"{"id":"1"}"#).unwrap_err().contains("choices"));
        let broken = r#"{"choices":[{"message":{"content":"a"},"error":{"message":"upstream"}}]}"#;
        assert!(read_text(broken).unwrap_err().contains("upstream"));
    }

    #[test]
    fn tokens_of_an_answer_have_offsets_in_bytes() {
        let text = r#"{"choices":[{"message":{"content":"é 1"},"logprobs":{"content":[
            {"token":"\ufffd","bytes":[195],"logprob":-0.5},
            {"token":"\ufffd","bytes":[169],"logprob":-0.5},
            {"token":" 1","logprob":-0.25,"top_logprobs":[{"token":" 0","logprob":-2},{"token":" 1","logprob":-0.25}]}
        ]}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
        let (answer, usage) = read_text(text).unwrap();
        let offsets: Vec<_> = answer.tokens.iter().map(|token| token.offset).collect();
        assert_eq!(offsets, [0, 1, 2]);
        assert_eq!(
            answer.tokens[2].top,
            [(" 1".to_owned(), -0.25), (" 0".to_owned(), -2.0)]
        );
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (7, 3));
    }
}
