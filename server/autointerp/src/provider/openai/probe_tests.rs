//! What probes find out of endpoints of several kinds.

use std::time::Duration;

use latentd_domain::{Reason, autointerp::Capabilities};
use serde_json::json;

use super::{OpenAi, OpenAiConfig};
use crate::{
    Call, Message, Reply, ScoreText,
    call::Context,
    provider::{
        Provider,
        faults::{Answer, Endpoint, Fault, Request, capable},
    },
};

async fn endpoint(
    answers: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Endpoint, OpenAi) {
    let endpoint = Endpoint::start(answers).await.unwrap();
    let provider = OpenAi::new(OpenAiConfig {
        base_url: endpoint.base_url(),
        model: "fake".to_owned(),
        key: None,
        timeout: Duration::from_secs(5),
        capabilities: Capabilities::default(),
        max_tokens: 512,
    })
    .unwrap();
    (endpoint, provider)
}

fn like_vllm(request: &Request) -> Answer {
    let thoughts = |words: &[&str], index: usize| {
        let word = words.get(index).copied().unwrap_or_default();
        vec![(word.to_owned(), -1.5), ("other".to_owned(), -0.5)]
    };
    capable(request, |_| "Hello".to_owned(), thoughts)
}

/// Completions that echo, as OpenAI's do, with five alternatives at most.
fn like_openai(request: &Request) -> Answer {
    if request.body.get("prompt_logprobs").is_some() {
        return Answer::reply(400, r#"{"error":{"message":"unknown field"}}"#);
    }
    if request.path.ends_with("/completions") && request.body.get("prompt").is_some() {
        if request.body["logprobs"].as_u64() > Some(5) {
            return Answer::reply(400, r#"{"error":{"message":"at most 5"}}"#);
        }
        let prompt = request.body["prompt"].as_str().unwrap();
        let (first, rest) = prompt.split_at(3);
        let tokens: Vec<_> = std::iter::once(first)
            .chain(rest.split_inclusive(' '))
            .collect();
        let mut logprobs = vec![json!(-2.0); tokens.len()];
        logprobs[0] = json!(null);
        let logprobs = json!({ "tokens": tokens, "token_logprobs": logprobs });
        return Answer::json(&json!({ "choices": [{ "logprobs": logprobs }] }));
    }
    like_vllm(request)
}

/// Answers text, and ignores everything else that it is asked.
fn plain(request: &Request) -> Answer {
    match request.path.as_str() {
        "/v1/chat/completions" => Answer::Chat("Hello there.".to_owned()),
        _ => Answer::reply(404, "<html>not here</html>"),
    }
}

#[tokio::test]
async fn an_endpoint_that_can_do_everything() {
    let (_endpoint, provider) = endpoint(like_vllm).await;
    let found = provider.probe().await.unwrap();
    let everything = Capabilities {
        json_schema: true,
        chat_logprobs: true,
        prompt_logprobs: true,
        context_length: 8192,
        ..Capabilities::default()
    };
    assert_eq!(found, everything);
}

#[tokio::test]
async fn an_endpoint_that_only_answers() {
    let (endpoint, provider) = endpoint(plain).await;
    assert_eq!(provider.probe().await.unwrap(), Capabilities::default());
    let sent = endpoint.requests().len();
    let error = provider
        .call(&score(Context::Text("a".to_owned())), "k")
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::ProviderLacksCapability);
    assert_eq!(
        endpoint.requests().len(),
        sent,
        "it is known that it cannot"
    );
}

fn score(context: Context) -> Call {
    Call::ScoreText(ScoreText {
        context,
        text: "two three\tfour".to_owned(),
        top: 15,
    })
}

#[tokio::test]
async fn text_is_scored_in_every_context() {
    let contexts = || {
        let chat = Context::Chat(vec![Message::system("S"), Message::user("Q")]);
        [Context::Text("One\n".to_owned()), chat]
    };
    let (_endpoint, provider) = endpoint(like_vllm).await;
    for context in contexts() {
        let exchanged = provider.call(&score(context), "key").await.unwrap();
        let Reply::ScoreText(tokens) = exchanged.reply else {
            panic!("{exchanged:?}")
        };
        let found: Vec<_> = tokens
            .iter()
            .map(|token| (&*token.token, token.offset))
            .collect();
        assert_eq!(found, [("two", 0), (" three", 3), ("\t", 9), ("four", 10)]);
        assert!(
            tokens
                .iter()
                .all(|token| token.logprob == -1.5 && token.top.len() == 2)
        );
    }
}

#[tokio::test]
async fn completions_that_echo() {
    let (endpoint, provider) = endpoint(like_openai).await;
    assert!(provider.probe().await.unwrap().prompt_logprobs);
    let context = Context::Text("One".to_owned());
    let exchanged = provider.call(&score(context), "key").await.unwrap();
    let Reply::ScoreText(tokens) = exchanged.reply else {
        panic!("{exchanged:?}")
    };
    assert_eq!((tokens.len(), tokens[0].logprob), (2, -2.0));
    assert_eq!(endpoint.requests().last().unwrap().body["logprobs"], 5);
}

#[tokio::test]
async fn a_probe_of_an_endpoint_that_fails_says_why() {
    for (fault, reason) in [
        (Fault::Unauthorized, Reason::ProviderUnauthorized),
        (Fault::NotFound, Reason::ProviderNotFound),
        (Fault::RateLimited, Reason::ProviderRateLimited),
        (Fault::Html, Reason::ProviderMalformedReply),
    ] {
        let (_endpoint, provider) = endpoint(move |request| fault.answer(request)).await;
        assert_eq!(
            provider.probe().await.unwrap_err().reason,
            reason,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_moment_of_failure_is_not_taken_for_a_lack() {
    let (_endpoint, provider) = endpoint(|request| {
        if request.body.get("prompt_logprobs").is_some() {
            Fault::RateLimited.answer(request)
        } else {
            like_vllm(request)
        }
    })
    .await;
    let error = provider.probe().await.unwrap_err();
    assert_eq!(error.reason, Reason::ProviderRateLimited);
}
