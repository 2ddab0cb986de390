//! OpenAI's completions: `echo` with `logprobs`. A conversation has no place there, and is written as a plain transcript.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use latentd_domain::autointerp::Usage;

use super::{align::align, malformed};
use crate::{
    Message, Role, ScoreText,
    call::{Context, TokenLogprob},
    provider::{
        CallError, limit,
        openai::{
            OpenAi,
            complete::COMPLETIONS,
            wire::{self, WireUsage},
        },
    },
};

#[derive(Debug, Deserialize)]
struct EchoReply {
    choices: Vec<EchoChoice>,
    usage: Option<WireUsage>,
}

#[derive(Debug, Deserialize)]
struct EchoChoice {
    logprobs: Option<EchoLogprobs>,
}

/// Columns, a row for each token of the prompt.
#[derive(Debug, Deserialize)]
struct EchoLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f32>>,
    /// Tokens with their log-probabilities.
    #[serde(default)]
    top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
    /// Character of the prompt at which each token begins.
    #[serde(default)]
    text_offset: Option<Vec<usize>>,
}

/// The tokens of a text, and what they took.
pub(super) async fn score(
    provider: &OpenAi,
    score: &ScoreText,
    most: u8,
    key: &str,
) -> Result<(Vec<TokenLogprob>, Usage), CallError> {
    let context = match &score.context {
        Context::Text(context) => context.clone(),
        Context::Chat(messages) => transcript(messages),
    };
    let prompt = format!("{context}{}", score.text);
    let body = json!({
        "model": provider.model,
        "prompt": prompt,
        "max_tokens": 0,
        "temperature": 0,
        "echo": true,
        "logprobs": score.top.min(most),
    });
    let reply: EchoReply = provider.http.post(COMPLETIONS, &body, key).await?;
    let usage = wire::usage(reply.usage, limit::tokens(prompt.len()), 0);
    let logprobs = reply.choices.into_iter().next();
    let logprobs = logprobs
        .and_then(|choice| choice.logprobs)
        .ok_or_else(|| malformed("the reply echoes no log-probabilities"))?;
    Ok((read(logprobs, &prompt, &score.text)?, usage))
}

/// A conversation without a chat template: who speaks, and what.
fn transcript(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        let who = match message.role {
            Role::System => "System",
            Role::User => "User",
            Role::Assistant => "Assistant",
        };
        text.extend([who, ": ", &message.content, "\n\n"]);
    }
    text.push_str("Assistant: ");
    text
}

fn read(
    mut logprobs: EchoLogprobs,
    prompt: &str,
    text: &str,
) -> Result<Vec<TokenLogprob>, CallError> {
    // Endpoints that generate a token although none is asked for list it at the end.
    if let Some(offsets) = &logprobs.text_offset {
        let characters = prompt.chars().count();
        let of_prompt = offsets.iter().take_while(|&&at| at < characters).count();
        logprobs.tokens.truncate(of_prompt);
    }
    let pieces: Vec<&str> = logprobs.tokens.iter().map(String::as_str).collect();
    let (first, offsets) = align(&pieces, text)
        .ok_or_else(|| malformed("the echoed tokens are not those of the text"))?;
    let mut top = logprobs.top_logprobs.unwrap_or_default();
    top.resize(logprobs.tokens.len(), None);
    let rows = logprobs
        .tokens
        .into_iter()
        .zip(logprobs.token_logprobs)
        .zip(top);
    let tokens = rows.skip(first).zip(offsets).map(row);
    let tokens: Option<Vec<_>> = tokens.collect();
    tokens.ok_or_else(|| malformed("a token of the text has no log-probability"))
}

type Row = (((String, Option<f32>), Option<Map<String, Value>>), usize);

fn row((((token, logprob), top), offset): Row) -> Option<TokenLogprob> {
    let alternative = |(token, logprob): (String, Value)| Some((token, logprob.as_f64()? as f32));
    let top = top.unwrap_or_default().into_iter();
    Some(TokenLogprob {
        token,
        offset,
        logprob: logprob?,
        top: wire::falling(top.filter_map(alternative).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &str = r#"{
        "tokens": ["One", " two", " three", "!"],
        "token_logprobs": [null, -2.5, -1.5, -0.5],
        "top_logprobs": [null, {" a": -0.5, " two": -2.5}, {" three": -1.5}, {"!": -0.5}],
        "text_offset": [0, 3, 7, 13]}"#;

    #[test]
    fn echoed_tokens_of_the_text_are_read() {
        let logprobs = serde_json::from_str(REPLY).unwrap();
        let tokens = read(logprobs, "One two three", " two three").unwrap();
        let found: Vec<_> = tokens
            .iter()
            .map(|token| (token.token.as_str(), token.offset, token.logprob))
            .collect();
        assert_eq!(found, [(" two", 0, -2.5), (" three", 4, -1.5)]);
        assert_eq!(tokens[0].top[0], (" a".to_owned(), -0.5));
    }

    #[test]
    fn a_first_token_has_no_log_probability() {
        let logprobs = serde_json::from_str(REPLY).unwrap();
        assert!(read(logprobs, "One two three", "One two three").is_err());
    }

    #[test]
    fn a_transcript_ends_with_the_answer() {
        let messages = [Message::system("S"), Message::user("Q")];
        assert_eq!(transcript(&messages), "System: S\n\nUser: Q\n\nAssistant: ");
    }
}
