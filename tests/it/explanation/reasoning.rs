//! Reasoning models, and endpoints that refuse a part of what is sent: what they think is no answer, what is cut off is asked for
//! once more, and what is refused is left out.

use latentd_autointerp::provider::faults::{Answer, Endpoint, Request};
use latentd_client::{
    CreateProviderRequest, ExplainRequest, Explainer, JobState, ProviderLimits, ScorerKind,
};
use latentd_domain::Reason;
use serde_json::json;

use super::explain::{explanations, run, with_cache};
use crate::harness::{
    endpoint,
    server::{SAE, TestServer},
};

/// An answer to a question about texts, and the opposite of it; neither where no texts are asked about.
fn answers(request: &Request) -> Option<(String, String)> {
    let question = request.question();
    let texts = question
        .lines()
        .filter(|line| line.starts_with("Text "))
        .count();
    let list = |answer: &str| format!("[{}]", vec![answer; texts].join(", "));
    (question.starts_with("Explanation:") && texts > 0).then(|| (list("1"), list("0")))
}

fn explanation() -> String {
    format!("[EXPLANATION]: {}", endpoint::EXPLANATION)
}

/// An endpoint that neither knows schemas nor log-probabilities, and answers conversations with `text`.
async fn plain(text: impl Fn(&Request) -> String + Send + Sync + 'static) -> Endpoint {
    Endpoint::start(move |request| match request.path.as_str() {
        "/v1/chat/completions" => Answer::Chat(text(request)),
        _ => Answer::reply(404, "{}"),
    })
    .await
    .unwrap()
}

/// Writes an answer behind a draft of it.
type Form = fn(&str, &str) -> String;

/// Explains and scores with `provider`, and checks that everything was said to be right, so half of it is.
async fn all_right(server: &TestServer, latents: &[u32], provider: &str) {
    let request = ExplainRequest::new(SAE, latents.to_vec(), Explainer::by(provider))
        .scorer(ScorerKind::Detection)
        .examples(endpoint::few());
    let job = run(server, request).await;
    assert_eq!(
        job.state,
        JobState::Succeeded,
        "{provider}: {:?}",
        job.error
    );
    let summary = server.client.job_summary(&job.name).await.unwrap();
    let detection = &summary.scorers[0];
    assert_eq!(detection.n_failed, 0, "{provider}: {summary:?}");
    assert_eq!(
        detection.true_positives,
        4 * latents.len() as u64,
        "{provider}"
    );
    assert_eq!(
        detection.false_positives,
        4 * latents.len() as u64,
        "{provider}"
    );
    for found in explanations(server, &job).await {
        assert_eq!(found.text, endpoint::EXPLANATION, "{provider}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thinking_is_no_answer() {
    let (server, latents) = with_cache().await;
    let forms: [(&str, Form); 4] = [
        ("tags", |draft, answer| {
            format!("<think>\nIt may be {draft}.\n</think>\n\n{answer}")
        }),
        ("no-opening", |draft, answer| {
            format!("It may be {draft}.\n</think>\n\n{answer}")
        }),
        ("harmony", |draft, answer| {
            format!(
                "<|channel|>analysis<|message|>{draft}<|end|><|start|>assistant<|channel|>final<|message|>{answer}<|return|>"
            )
        }),
        ("revision", |draft, answer| {
            format!("My first answer: {draft}. On reflection, the correct answer is {answer}")
        }),
    ];
    for (id, form) in forms {
        let endpoint = plain(move |request| match answers(request) {
            Some((answer, draft)) => form(&draft, &answer),
            None => form("[EXPLANATION]: letters", &format!("\n{}", explanation())),
        })
        .await;
        endpoint::register(&server, id, &endpoint).await;
        all_right(&server, &latents[..1], id).await;
    }
}

/// A model that thinks for 1,000 tokens before it answers.
fn thinker(request: &Request, content: bool) -> Answer {
    if request.path != "/v1/chat/completions" {
        return Answer::reply(404, "{}");
    }
    let room = request.body["max_tokens"].as_u64().unwrap_or(u64::MAX);
    if room >= 1000 {
        let text = answers(request).map_or_else(explanation, |(answer, _)| answer);
        return Answer::Chat(text);
    }
    let mut message = json!({ "role": "assistant", "reasoning_content": "[0, 0] it may be" });
    if content {
        message["content"] = json!(null);
    }
    Answer::json(&json!({ "choices": [{ "message": message, "finish_reason": "length" }] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_thinks_first_has_room_to() {
    let (server, latents) = with_cache().await;
    for (id, content) in [("null", true), ("absent", false)] {
        let endpoint = Endpoint::start(move |request| thinker(request, content))
            .await
            .unwrap();
        let provider = endpoint::register(&server, id, &endpoint).await;
        assert_eq!(provider.limits.max_tokens, 4096);
        all_right(&server, &latents[..1], id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_is_asked_for_once_more_and_is_no_prediction() {
    let (server, latents) = with_cache().await;
    let endpoint = Endpoint::start(|request| thinker(request, true))
        .await
        .unwrap();
    // Four times 300 tokens are enough, and four times 200 are not.
    for (id, max_tokens, value) in [("enough", 300, Some(0.5)), ("short", 200, None)] {
        let limits = ProviderLimits {
            max_tokens,
            ..ProviderLimits::default()
        };
        let request = CreateProviderRequest::openai(id, endpoint.base_url(), id).limits(limits);
        server
            .client
            .create_provider(request.skip_probe())
            .await
            .unwrap();
        // The explanation is there whatever the scorer's model does.
        let explainer = Explainer::by(id).max_tokens(1000);
        let request = ExplainRequest::new(SAE, latents[..1].to_vec(), explainer)
            .scorer(ScorerKind::Detection)
            .examples(endpoint::few());
        let sent = endpoint.requests().len();
        let job = run(&server, request).await;
        let calls = endpoint.requests().len() - sent;
        // One explanation, and each of two prompts twice; all of them count.
        assert_eq!(
            (calls, job.progress.spent.map(|spent| spent.calls)),
            (5, Some(5)),
            "{id}"
        );
        let found = explanations(&server, &job).await;
        let score = found[0].score(ScorerKind::Detection).unwrap();
        assert_eq!(score.value, value, "{id}");
        let details = server.client.score_details(&score.name).await.unwrap();
        for example in &details.examples {
            let failed = value.is_none().then_some(Reason::AnswerCutOff.as_str());
            assert_eq!(example.failure, failed.unwrap_or_default(), "{id}");
            assert_eq!(example.prediction.is_none(), value.is_none(), "{id}");
        }
    }
    // A provider that comes to no answer at all is not registered.
    let limits = ProviderLimits {
        max_tokens: 300,
        ..ProviderLimits::default()
    };
    let request = CreateProviderRequest::openai("none", endpoint.base_url(), "none").limits(limits);
    let error = server.client.create_provider(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::AnswerCutOff.as_str(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_refuses_is_left_out() {
    let (server, latents) = with_cache().await;
    let endpoint = Endpoint::start(|request| {
        if request.path != "/v1/chat/completions" {
            return Answer::reply(404, "{}");
        }
        let refuse = |message: &str| {
            let body = json!({ "object": "error", "message": message, "type": "BadRequestError", "code": 400 });
            Answer::reply(400, body.to_string())
        };
        let has = |field: &str| request.body.get(field).is_some();
        if request.body["messages"][0]["role"] == "system" {
            return refuse("System role not supported");
        }
        for field in ["seed", "response_format", "logprobs", "temperature"] {
            if has(field) {
                return refuse(&format!("Unsupported parameter: '{field}' is not supported"));
            }
        }
        if has("max_tokens") {
            return refuse("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
        }
        let text = answers(request).map_or_else(explanation, |(answer, _)| answer);
        Answer::Chat(text)
    })
    .await
    .unwrap();
    let provider = endpoint::register(&server, "strict", &endpoint).await;
    let expected = [
        "system",
        "seed",
        "response_format",
        "logprobs",
        "temperature",
        "max_tokens",
    ];
    assert_eq!(provider.capabilities.refused, expected);
    assert_eq!(server.client.provider("strict").await.unwrap(), provider);
    let sent = endpoint.requests().len();
    all_right(&server, &latents[..1], "strict").await;
    // What was learned by the probe is not learned again, and the rules are in the first question.
    let requests = endpoint.requests();
    assert_eq!(requests.len() - sent, 3);
    for request in &requests[sent..] {
        let first = request.body["messages"][0]["content"].as_str().unwrap();
        assert!(first.contains("latent of a language model"), "{first}");
    }
    // Without a probe it is learned by the first call.
    let request = CreateProviderRequest::openai("unasked", endpoint.base_url(), "other");
    server
        .client
        .create_provider(request.skip_probe())
        .await
        .unwrap();
    all_right(&server, &latents[..1], "unasked").await;
}
