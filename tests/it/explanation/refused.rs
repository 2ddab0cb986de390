//! What ExplainLatents and ScoreExplanations refuse before there is a job.

use futures::TryStreamExt;
use latentd_client::{
    ExplainRequest, Explainer, ExplainerKind, JobFilter, ScoreRequest, Scorer, ScorerKind,
};
use latentd_domain::Reason;

use crate::harness::{
    corpus, endpoint,
    server::{RELU, SAE, TestServer, small},
};

async fn with_cache() -> TestServer {
    let server = small().await;
    let folder = corpus::folder(server.path(), 6, 80);
    server.build("c", &folder).await;
    server
}

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, latentd_client::Error>, expected: Reason) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.reason, expected.as_str(), "{error}");
    error.message
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_end_well_is_refused() {
    let server = with_cache().await;
    let client = &server.client;
    let explain = |request: ExplainRequest| client.explain(request);
    let by = || Explainer::by("fake");
    let unknown = explain(ExplainRequest::new(SAE, [1], by())).await;
    check(unknown, Reason::UnknownProvider);
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    check(
        explain(ExplainRequest::new("small/none", [1], by())).await,
        Reason::UnknownCache,
    );
    // The cache was built of another SAE.
    check(
        explain(ExplainRequest::new(RELU, [1], by()).cache("c")).await,
        Reason::UnknownSae,
    );
    check(
        explain(ExplainRequest::new(SAE, [1], by()).cache("none")).await,
        Reason::UnknownCache,
    );
    check(
        explain(ExplainRequest::new(SAE, [1, 96], by())).await,
        Reason::UnknownLatent,
    );
    check(
        explain(ExplainRequest::new(SAE, [1, 1], by())).await,
        Reason::InvalidRequest,
    );
    let nobody = Explainer::new(ExplainerKind::Default);
    check(
        explain(ExplainRequest::new(SAE, [1], nobody)).await,
        Reason::InvalidRequest,
    );
    check(
        explain(ExplainRequest::new(SAE, [1], by()).scorer(ScorerKind::Embedding)).await,
        Reason::NoSentenceEncoder,
    );
    client.unload_sae(SAE).await.unwrap();
    check(
        explain(ExplainRequest::new(SAE, [1], by())).await,
        Reason::UnknownSae,
    );
    let jobs = client.jobs(JobFilter::new().kind("explain_latents"));
    let jobs: Vec<_> = jobs.try_collect().await.unwrap();
    assert!(jobs.is_empty(), "{jobs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_needs_log_probabilities() {
    let server = with_cache().await;
    let endpoint = endpoint::start().await;
    // It can answer text and nothing else.
    let request =
        latentd_client::CreateProviderRequest::openai("plain", endpoint.base_url(), "fake");
    let request = request.skip_probe();
    server.client.create_provider(request).await.unwrap();
    let explain = |scorers: &[ScorerKind]| {
        let mut request = ExplainRequest::new(SAE, [1, 2], Explainer::by("plain"));
        for &scorer in scorers {
            request = request.scorer(scorer);
        }
        server.client.explain(request)
    };
    let refused = explain(&[ScorerKind::Detection, ScorerKind::Simulation]).await;
    let message = check(refused, Reason::ProviderLacksCapability);
    assert!(message.starts_with("scorers[1].provider"), "{message}");
    check(
        explain(&[ScorerKind::Surprisal]).await,
        Reason::ProviderLacksCapability,
    );
    let job = explain(&[ScorerKind::Detection, ScorerKind::SimulationJson])
        .await
        .unwrap();
    server.client.cancel_job(&job.name).await.unwrap();
    // Once the provider was asked what it can do, it is known to be able.
    server.client.probe_provider("plain").await.unwrap();
    let job = explain(&[ScorerKind::Simulation]).await.unwrap();
    server.client.cancel_job(&job.name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_needs_explanations() {
    let server = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let detection = || Scorer::from(ScorerKind::Detection).provider("fake");
    let score = |request: ScoreRequest| server.client.score(request);
    check(
        score(ScoreRequest::new(SAE, detection())).await,
        Reason::NoExplanation,
    );
    check(
        score(ScoreRequest::new(SAE, ScorerKind::Detection)).await,
        Reason::InvalidRequest,
    );
    let unknown = ScoreRequest::new(SAE, detection()).explanations(["nothing"]);
    check(score(unknown).await, Reason::UnknownExplanation);
    let other = server
        .client
        .create_explanation(RELU, 3, "stones", "")
        .await;
    let other = ScoreRequest::new(SAE, detection()).explanations([other.unwrap().name]);
    let message = check(score(other).await, Reason::InvalidRequest);
    assert!(
        message.contains("is of models/small/saes/relu"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_the_same_job() {
    let server = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let request = |latents: [u32; 2]| {
        ExplainRequest::new(SAE, latents, Explainer::by("fake"))
            .examples(endpoint::few())
            .request_id("mine")
    };
    let first = server.client.explain(request([1, 2])).await.unwrap();
    assert_eq!(first.kind, "explain_latents");
    let again = server.client.explain(request([1, 2])).await.unwrap();
    assert_eq!(first.name, again.name);
    check(
        server.client.explain(request([1, 3])).await,
        Reason::RequestIdReused,
    );
}
