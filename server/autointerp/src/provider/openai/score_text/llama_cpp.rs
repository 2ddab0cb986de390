//! llama.cpp: it reports what it generates only, so the text's own tokens are forced by a grammar of token ids. The reported
//! log-probabilities are those before sampling, and so before the grammar.

use serde::Deserialize;
use serde_json::{Value, json};

use latentd_domain::autointerp::Usage;

use super::malformed;
use crate::{
    ScoreText,
    call::{Context, TokenLogprob},
    provider::{
        CallError,
        openai::{
            OpenAi, chat,
            http::Path,
            wire::{self, WireToken},
        },
    },
};

#[derive(Debug, Deserialize)]
struct Tokenized {
    tokens: Vec<Piece>,
}

#[derive(Debug, Deserialize)]
struct Piece {
    id: u32,
}

#[derive(Debug, Deserialize)]
struct Template {
    prompt: String,
}

#[derive(Debug, Deserialize)]
struct Completion {
    #[serde(default)]
    completion_probabilities: Vec<WireToken>,
}

/// The tokens of a text, and what they took.
pub(super) async fn score(
    provider: &OpenAi,
    score: &ScoreText,
    key: &str,
) -> Result<(Vec<TokenLogprob>, Usage), CallError> {
    let tokenize = async |text: &str, special: bool, control: bool| {
        let body = json!({
            "content": text,
            "add_special": special,
            "parse_special": control,
            "with_pieces": true,
        });
        let reply: Tokenized = provider
            .http
            .post(Path::Root("/tokenize"), &body, key)
            .await?;
        Ok::<_, CallError>(
            reply
                .tokens
                .iter()
                .map(|piece| piece.id)
                .collect::<Vec<_>>(),
        )
    };
    let context = match &score.context {
        Context::Text(context) => tokenize(context, true, false).await?,
        Context::Chat(messages) => {
            let body = |form| json!({ "messages": chat::messages(messages, form) });
            let path = Path::Root("/apply-template");
            let rendered: Template = provider.spoken(path, key, 0, body).await?;
            tokenize(&rendered.prompt, true, true).await?
        }
    };
    let text = tokenize(&score.text, false, false).await?;
    let usage = Usage {
        prompt_tokens: (context.len() + text.len()) as u64,
        completion_tokens: 0,
    };
    if text.is_empty() {
        return Ok((Vec::new(), usage));
    }
    let body = forced(&context, &text, score.top);
    let reply: Completion = provider
        .http
        .post(Path::Root("/completion"), &body, key)
        .await?;
    Ok((read(reply, &text, score.top)?, usage))
}

fn forced(context: &[u32], text: &[u32], top: u8) -> Value {
    let tokens: Vec<String> = text.iter().map(|id| format!("<[{id}]>")).collect();
    json!({
        "prompt": context,
        "n_predict": text.len(),
        "n_probs": top.max(1),
        "grammar": format!("root ::= {}", tokens.join(" ")),
        "temperature": 0,
        "samplers": [],
        "cache_prompt": true,
        "post_sampling_probs": false,
    })
}

fn read(reply: Completion, text: &[u32], top: u8) -> Result<Vec<TokenLogprob>, CallError> {
    let tokens = reply.completion_probabilities;
    let ids = tokens.iter().map(|token| token.id);
    if !ids.eq(text.iter().map(|&id| Some(id))) {
        return Err(malformed(
            "llama.cpp generated other tokens than its grammar allows; is it too old for grammars of tokens?",
        ));
    }
    let mut tokens = wire::in_a_row(tokens);
    for token in &mut tokens {
        token.top.truncate(top.into());
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tokens_that_were_forced_are_believed() {
        let reply = || {
            let text = r#"{"completion_probabilities":[
                {"id":7,"token":" four","bytes":[32,102,111,117,114],"logprob":-0.5,
                 "top_logprobs":[{"id":7,"token":" four","logprob":-0.5}]},
                {"id":9,"token":" five","bytes":[32,102,105,118,101],"logprob":-0.25,"top_logprobs":[]}]}"#;
            serde_json::from_str::<Completion>(text).unwrap()
        };
        let tokens = read(reply(), &[7, 9], 0).unwrap();
        assert_eq!((tokens[1].offset, tokens[1].logprob), (5, -0.25));
        assert!(tokens[0].top.is_empty());
        assert!(read(reply(), &[7, 8], 1).is_err());
        assert!(read(reply(), &[7], 1).is_err());
    }

    #[test]
    fn the_text_is_forced_token_by_token() {
        let body = forced(&[1, 2], &[7, 9], 15);
        assert_eq!(body["grammar"], "root ::= <[7]> <[9]>");
        assert_eq!(
            (&body["n_predict"], &body["n_probs"]),
            (&json!(2), &json!(15))
        );
    }
}
