//! vLLM: `prompt_logprobs`, of completions and of conversations.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json};

use latentd_domain::autointerp::Usage;

use super::{align::align, malformed};
use crate::{
    Message, ScoreText,
    call::{Context, TokenLogprob},
    provider::{
        CallError, limit,
        openai::{
            OpenAi,
            chat::{CHAT, messages},
            complete::COMPLETIONS,
            dialect::Form,
            wire::{self, WireUsage},
        },
    },
};

#[derive(Debug, Deserialize)]
struct VllmReply {
    /// Of conversations they are here.
    prompt_logprobs: Option<Vec<Option<Place>>>,
    #[serde(default)]
    choices: Vec<VllmChoice>,
    usage: Option<WireUsage>,
}

#[derive(Debug, Deserialize)]
struct VllmChoice {
    /// Of completions they are here.
    prompt_logprobs: Option<Vec<Option<Place>>>,
}

/// What the model thought at one place: the token that is there first, then the likeliest.
#[derive(Debug)]
struct Place(Vec<(String, f32)>);

#[derive(Debug, Deserialize)]
struct Thought {
    logprob: f32,
    decoded_token: Option<String>,
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Keeps the order of the object: it alone says which token is there.
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Place;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("log-probabilities by token id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Place, A::Error> {
                let mut thoughts = Vec::new();
                while let Some((_, thought)) = map.next_entry::<String, Thought>()? {
                    thoughts.push((thought.decoded_token.unwrap_or_default(), thought.logprob));
                }
                Ok(Place(thoughts))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The tokens of a text, and what they took.
pub(super) async fn score(
    provider: &OpenAi,
    score: &ScoreText,
    key: &str,
) -> Result<(Vec<TokenLogprob>, Usage), CallError> {
    let path = match score.context {
        Context::Text(_) => COMPLETIONS,
        Context::Chat(_) => CHAT,
    };
    let body = |form| body(&provider.model, score, form);
    let reply: VllmReply = provider.spoken(path, key, 1, body).await?;
    let usage = wire::usage(reply.usage, limit::tokens(score.text.len()), 0);
    let in_choice = reply.choices.into_iter().next();
    let places = reply
        .prompt_logprobs
        .or_else(|| in_choice.and_then(|choice| choice.prompt_logprobs))
        .ok_or_else(|| malformed("the reply has no prompt_logprobs"))?;
    Ok((read(places, &score.text, score.top)?, usage))
}

fn body(model: &str, score: &ScoreText, form: Form) -> Value {
    let mut body = json!({
        "model": model,
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": score.top,
    });
    let extra = match &score.context {
        Context::Text(context) => json!({ "prompt": format!("{context}{}", score.text) }),
        Context::Chat(before) => {
            let mut messages = messages(before, form);
            messages.push(Message::assistant(&score.text));
            json!({
                "messages": messages,
                "add_generation_prompt": false,
                "continue_final_message": true,
            })
        }
    };
    if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
        body.extend(extra);
    }
    body
}

fn read(places: Vec<Option<Place>>, text: &str, top: u8) -> Result<Vec<TokenLogprob>, CallError> {
    let piece = |place: &Option<Place>| {
        let first = place.as_ref().and_then(|place| place.0.first());
        first.map(|(token, _)| token.clone()).unwrap_or_default()
    };
    let pieces: Vec<String> = places.iter().map(piece).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    // Chat templates may cut the white space around a message.
    let trimmed = text.trim_start().len();
    let (first, offsets) = align(&pieces, text)
        .or_else(|| {
            let (first, mut offsets) = align(&pieces, text.trim())?;
            for offset in &mut offsets {
                *offset += text.len() - trimmed;
            }
            Some((first, offsets))
        })
        .ok_or_else(|| malformed("the tokens in prompt_logprobs are not those of the text"))?;
    let places = places.into_iter().skip(first).zip(offsets);
    places
        .map(|(place, offset)| token(place, offset, top))
        .collect()
}

fn token(place: Option<Place>, offset: usize, top: u8) -> Result<TokenLogprob, CallError> {
    let thoughts = place.map(|place| place.0).unwrap_or_default();
    let (token, logprob) = thoughts
        .first()
        .cloned()
        .ok_or_else(|| malformed("a token of the text has no log-probability"))?;
    // A token that is not among the likeliest is listed before them.
    let mut likeliest = wire::falling(thoughts);
    likeliest.truncate(top.into());
    Ok(TokenLogprob {
        token,
        offset,
        logprob,
        top: likeliest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As vLLM 0.11 writes them: the token that is there first, whatever its id and its rank.
    const PLACES: &str = r#"[null,
        {"311":{"logprob":-2.5,"rank":9,"decoded_token":" two"},"7":{"logprob":-0.1,"rank":1,"decoded_token":" one"}},
        {"900":{"logprob":-1.5,"rank":2,"decoded_token":" three"},"12":{"logprob":-0.3,"rank":1,"decoded_token":"."}}]"#;

    #[test]
    fn the_first_of_a_place_is_the_token() {
        let tokens = read(serde_json::from_str(PLACES).unwrap(), " two three", 1).unwrap();
        let found: Vec<_> = tokens
            .iter()
            .map(|token| (token.token.as_str(), token.offset, token.logprob))
            .collect();
        assert_eq!(found, [(" two", 0, -2.5), (" three", 4, -1.5)]);
        assert_eq!(tokens[0].top, [(" one".to_owned(), -0.1)]);
    }

    #[test]
    fn white_space_around_a_message_may_be_cut() {
        let text = "\n two three\n";
        let tokens = read(serde_json::from_str(PLACES).unwrap(), text, 0).unwrap();
        // The first token begins before what is left of the text, and is not one of its own.
        assert_eq!((tokens.len(), tokens[0].offset), (1, 5));
    }

    #[test]
    fn other_tokens_are_refused() {
        let places = || serde_json::from_str(PLACES).unwrap();
        assert!(read(places(), " two four", 1).is_err());
        assert!(read(vec![None], "a", 1).is_err());
    }
}
