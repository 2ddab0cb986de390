//! Explainers that ask no chat model: the words at the peaks, and their theme; and the summary that sets explainers side by side.

use latentd_autointerp::provider::faults::{Answer, Endpoint};
use latentd_client::{ExplainRequest, Explainer, ExplainerKind, JobState, Scorer, ScorerKind};
use latentd_domain::Reason;

use super::explain::{explanations, run, with_cache};
use crate::harness::{endpoint, server::SAE};

#[tokio::test(flavor = "multi_thread")]
async fn explainers_stand_side_by_side() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let of = |kind: ExplainerKind, asks: bool| {
        let explainer = Explainer::new(kind);
        let explainer = if asks {
            explainer.provider("fake")
        } else {
            explainer
        };
        ExplainRequest::new(SAE, latents.clone(), explainer)
            .scorer(Scorer::new(ScorerKind::Detection).provider("fake"))
            .examples(endpoint::few())
    };
    let sent = endpoint.requests().len();
    let top = run(&server, of(ExplainerKind::TopTokens, false)).await;
    assert_eq!(top.state, JobState::Succeeded, "{:?}", top.error);
    // Scorers were asked, and nobody else.
    let scored = endpoint.requests().len() - sent;
    assert_eq!(scored, 2 * latents.len());
    let found = explanations(&server, &top).await;
    assert_eq!(found.len(), latents.len());
    for found in &found {
        assert!(found.text.contains(" %)"), "{}", found.text);
        assert_eq!(
            (found.explainer.as_str(), found.provenance.provider.as_str()),
            ("top_tokens", "")
        );
        assert_eq!(found.provenance.prompt_version, "top_tokens/1");
        assert_eq!(found.provenance.examples.len(), 4);
    }

    let completion = run(&server, of(ExplainerKind::Completion, true)).await;
    assert_eq!(
        completion.state,
        JobState::Succeeded,
        "{:?}",
        completion.error
    );
    let found = explanations(&server, &completion).await;
    assert_eq!(found.len(), latents.len());
    assert!(
        found.iter().all(|found| found.text == "They are alike"),
        "{:?}",
        found[0].text
    );

    let default = run(&server, of(ExplainerKind::Default, true)).await;
    let summary = server.client.job_summary(&default.name).await.unwrap();
    let rows: Vec<(&str, bool, u64, Option<f64>)> = summary
        .explainers
        .iter()
        .map(|row| (row.explainer.as_str(), row.own, row.latents, row.mean))
        .collect();
    let all = latents.len() as u64;
    assert_eq!(
        rows,
        [
            ("default", true, all, Some(0.5)),
            ("top_tokens", false, all, Some(0.5)),
            ("random_baseline", false, 0, None),
            ("completion", false, all, Some(0.5)),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_needs_log_probabilities_of_given_text() {
    let (server, latents) = with_cache().await;
    let endpoint = Endpoint::start(|request| match request.path.as_str() {
        "/v1/chat/completions" => Answer::Chat("Hello.".to_owned()),
        _ => Answer::reply(404, "{}"),
    })
    .await
    .unwrap();
    endpoint::register(&server, "plain", &endpoint).await;
    let explainer = Explainer::new(ExplainerKind::Completion).provider("plain");
    let request = ExplainRequest::new(SAE, latents, explainer);
    let error = server.client.explain(request).await.unwrap_err();
    assert_eq!(
        error.reason,
        Reason::ProviderLacksCapability.as_str(),
        "{error}"
    );
}
