//! Conversations: `POST /chat/completions`.

use latentd_domain::{
    Reason,
    autointerp::{Capabilities, Field, Usage},
};
use serde_json::{Value, json};

use super::{
    OpenAi,
    dialect::Form,
    http::Path,
    refusal::excerpt,
    wire::{self, ChatChoice, ChatReply},
};
use crate::{
    Chat, Message, Reply,
    call::{Answer, Exchanged, folded},
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
        let contents = chat.messages.iter().map(|message| message.content.len());
        let prompt = limit::tokens(contents.sum());
        let max_tokens = self.within_context(chat.max_tokens, prompt);
        let body = |form: Form| body(&self.model, chat, can, (form, max_tokens));
        let reply: ChatReply = self.spoken(CHAT, key, max_tokens, body).await?;
        let (answer, usage) = read(reply, prompt, max_tokens)?;
        Ok(Exchanged {
            reply: Reply::Chat(answer),
            usage,
        })
    }

    /// A longest answer that fits into the context beside a prompt of about so many tokens, where it is known how long that is.
    pub(super) fn within_context(&self, max_tokens: u32, prompt: u64) -> u32 {
        /// What is left to answers at least: how long a prompt is in truth is not known.
        const LEAST: u64 = 64;
        let context = u64::from(self.capabilities.context_length);
        if context == 0 {
            return max_tokens;
        }
        // A third more than the estimate, and some for the chat template.
        let left = context.saturating_sub(prompt * 4 / 3 + LEAST).max(LEAST);
        max_tokens.min(u32::try_from(left).unwrap_or(u32::MAX))
    }
}

/// A seed that every endpoint takes: some keep it in 32 bits, with a sign.
pub(super) fn seed(seed: u64) -> u64 {
    seed & 0x7fff_ffff
}

/// The messages of a conversation, as an endpoint takes them.
pub(super) fn messages(messages: &[Message], form: Form) -> Vec<Message> {
    if form.without.has(Field::System) {
        folded(messages)
    } else {
        messages.to_vec()
    }
}

/// Fields that the endpoint takes, by the parts of a request that they are.
pub(super) fn fields(
    form: Form,
    max_tokens: u32,
    optional: impl IntoIterator<Item = (Field, Value)>,
) -> impl Iterator<Item = (&'static str, Value)> {
    let longest = form.room.unwrap_or(max_tokens);
    let name = if form.without.has(Field::MaxTokens) {
        Field::MaxCompletionTokens
    } else {
        Field::MaxTokens
    };
    optional
        .into_iter()
        .chain([(name, json!(longest))])
        .filter(move |(field, _)| !form.without.has(*field))
        .map(|(field, value)| (field.as_str(), value))
}

fn body(model: &str, chat: &Chat, can: Capabilities, (form, max_tokens): (Form, u32)) -> Value {
    let mut optional = vec![
        (Field::Seed, json!(seed(chat.seed))),
        (Field::Stream, json!(false)),
        (Field::Temperature, json!(chat.temperature)),
    ];
    if let Some(schema) = chat.schema.as_ref().filter(|_| can.json_schema) {
        let schema = json!({ "name": "answer", "strict": true, "schema": schema });
        let format = json!({ "type": "json_schema", "json_schema": schema });
        optional.push((Field::ResponseFormat, format));
    }
    if chat.top_logprobs > 0 && can.chat_logprobs && !form.without.has(Field::Logprobs) {
        optional.push((Field::Logprobs, json!(true)));
        optional.push((Field::TopLogprobs, json!(chat.top_logprobs)));
    }
    let mut body = json!({ "model": model, "messages": messages(&chat.messages, form) });
    if let Some(body) = body.as_object_mut() {
        let fields = fields(form, max_tokens, optional);
        body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    body
}

fn read(reply: ChatReply, prompt: u64, max_tokens: u32) -> Result<(Answer, Usage), CallError> {
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
    let is_told = choice.finish_reason.is_some();
    let mut answer = answer(choice);
    // Some endpoints do not say why an answer ended.
    let said = reply.usage.and_then(|usage| usage.completion_tokens);
    let is_full = said.is_some_and(|tokens| tokens >= u64::from(max_tokens));
    answer.cut_off |= is_full && !is_told;
    let usage = wire::usage(reply.usage, prompt, answer.text.len());
    Ok((answer, usage))
}

/// What endpoints say of an answer that became too long, in lower case.
const TOO_LONG: [&str; 4] = ["length", "max_tokens", "max_output_tokens", "model_length"];

fn answer(choice: ChatChoice) -> Answer {
    let reason = choice.finish_reason.unwrap_or_default().to_lowercase();
    let message = choice.message.unwrap_or_default();
    let refused = message.refusal.filter(|text| !text.is_empty());
    let refusal = refused.is_some() || reason == "content_filter";
    let content = message.content.map(wire::Content::into_text);
    let text = content.filter(|text| !text.is_empty()).or(refused);
    let tokens = choice.logprobs.and_then(|logprobs| logprobs.content);
    Answer {
        text: text.unwrap_or_default(),
        tokens: wire::in_a_row(tokens.unwrap_or_default()),
        cut_off: TOO_LONG.contains(&reason.as_str()),
        refusal,
    }
}

#[cfg(test)]
mod tests {
    use latentd_domain::autointerp::Refused;

    use super::*;

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
        let plain = body("m", &chat(), Capabilities::default(), (Form::default(), 30));
        assert!(plain.get("response_format").is_none() && plain.get("logprobs").is_none());
        let can = Capabilities {
            json_schema: true,
            chat_logprobs: true,
            ..Capabilities::default()
        };
        let sent = body("m", &chat(), can, (Form::default(), 30));
        let sent = serde_json::to_string_pretty(&sent).unwrap();
        insta::assert_snapshot!(sent, @r#"
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
        read(reply, 11, 30).map_err(|error| error.detail)
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
    fn reasoning_in_a_field_of_its_own_is_no_answer() {
        for message in [
            r#"{"content":null,"reasoning_content":"[1, 0]"}"#,
            r#"{"reasoning":"[1, 0]"}"#,
            r#"{"role":"assistant"}"#,
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"[1, 0]"}]}]}"#,
            r#"{"content":[{"type":"reasoning","text":"[1, 0]"}]}"#,
        ] {
            for reason in ["length", "MAX_TOKENS", "model_length"] {
                let (answer, _) = choice(message, reason);
                assert_eq!(answer.text, "", "{message}");
                assert!(answer.cut_off, "{message}");
            }
        }
        let magistral = r#"{"content":[{"type":"thinking","thinking":"[1]"},{"type":"text","text":"[0]"}],"reasoning":"[1]"}"#;
        assert_eq!(choice(magistral, "stop").0.text, "[0]");
        assert!(
            read_text(r#"{"choices":[{"finish_reason":"length"}]}"#)
                .unwrap()
                .0
                .cut_off
        );
    }

    #[test]
    fn an_answer_as_long_as_may_be_is_cut_off_where_nobody_says_why_it_ended() {
        let of = |tokens: u32, reason: &str| {
            let text = format!(
                r#"{{"choices":[{{"message":{{"content":"a"}},"finish_reason":{reason}}}],"usage":{{"completion_tokens":{tokens}}}}}"#
            );
            read_text(&text).unwrap().0.cut_off
        };
        assert!(of(30, "null") && !of(29, "null") && !of(30, "\"stop\""));
    }

    #[test]
    fn what_an_endpoint_refuses_is_left_out_or_said_otherwise() {
        let can = Capabilities {
            json_schema: true,
            chat_logprobs: true,
            ..Capabilities::default()
        };
        let all = Field::ALL.into_iter();
        for field in all.clone() {
            let form = Form {
                without: Refused::default().with(field),
                room: None,
            };
            let sent = body("m", &chat(), can, (form, 30));
            assert!(sent.get(field.as_str()).is_none(), "{field:?}: {sent}");
            let first = &sent["messages"][0];
            if field == Field::System {
                assert_eq!(first["content"], "rules\n\nquestion");
                assert_eq!(sent["messages"].as_array().unwrap().len(), 1);
            } else {
                assert_eq!(first["role"], "system");
            }
        }
        let form = Form {
            without: all.fold(Refused::default(), Refused::with),
            room: Some(20),
        };
        let bare = body("m", &chat(), can, (form, 30));
        assert_eq!(bare.as_object().unwrap().len(), 2, "{bare}");
        let without = Refused::default().with(Field::MaxTokens);
        let form = Form { without, ..form };
        assert_eq!(
            body("m", &chat(), can, (form, 30))["max_completion_tokens"],
            20
        );
    }

    #[test]
    fn what_is_not_an_answer() {
        assert!(
            read_text(r#"{"choices":[]}"#)
                .unwrap_err()
                .contains("no answer")
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
