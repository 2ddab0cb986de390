//! Explaining and scoring with a real llama.cpp server: the API as it is spoken, and not as tests imagine it.

use latentd_client::{
    CreateProviderRequest, ExplainRequest, Explainer, JobState, ProviderLimits, ScoreRequest,
    Scorer, ScorerKind,
};

use super::explain;
use crate::harness::{
    endpoint,
    llama_cpp::LlamaCpp,
    server::{SAE, TestServer},
};

const SCORERS: [ScorerKind; 5] = [
    ScorerKind::Detection,
    ScorerKind::Fuzzing,
    ScorerKind::Simulation,
    ScorerKind::SimulationJson,
    ScorerKind::Surprisal,
];

async fn register(server: &TestServer, llama_cpp: &LlamaCpp) {
    let request = CreateProviderRequest::openai("llama", llama_cpp.base_url(), "smollm2");
    let request = request.limits(ProviderLimits {
        max_in_flight: 4,
        timeout_seconds: 300,
        ..ProviderLimits::default()
    });
    let provider = server.client.create_provider(request).await.unwrap();
    let can = &provider.capabilities;
    assert!(
        can.json_schema && can.chat_logprobs && can.prompt_logprobs,
        "{can:?}"
    );
    assert_eq!(can.context_length, 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_cpp_explains_and_scores() {
    let llama_cpp = LlamaCpp::start().await;
    let (server, latents) = explain::with_cache().await;
    register(&server, &llama_cpp).await;

    // A model of 135 million parameters may lose the form of an answer. Then the latent has failed, and not the job.
    let explainer = Explainer::by("llama").max_tokens(100);
    let request = ExplainRequest::new(SAE, latents[..1].to_vec(), explainer)
        .scorer(ScorerKind::Intruder)
        .examples(endpoint::few());
    let job = explain::run(&server, request).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!((job.progress.done, job.progress.total), (2, 2));

    let made = server
        .client
        .create_explanation(SAE, latents[0], "words about rivers", "ada");
    let explanation = made.await.unwrap().name;
    let scorer = |kind| Scorer::from(kind).provider("llama");
    let request = ScoreRequest::new(SAE, scorer(SCORERS[0]))
        .explanations([explanation.clone()])
        .examples(endpoint::few());
    let request = SCORERS[1..]
        .iter()
        .fold(request, |request, &kind| request.and_scorer(scorer(kind)));
    let job = server.client.score(request).await.unwrap();
    let job = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let explanation = server.client.explanation(&explanation).await.unwrap();
    for kind in SCORERS {
        let score = explanation.score(kind).unwrap();
        let details = server.client.score_details(&score.name).await.unwrap();
        let failed = details
            .examples
            .iter()
            .filter(|row| !row.failure.is_empty());
        assert_eq!(failed.count(), score.n_failed as usize, "{score:?}");
        let rows = (score.n + score.n_failed) as usize;
        assert_eq!(details.examples.len(), rows, "{score:?}");
        // What log-probabilities say does not depend on the form of an answer.
        if matches!(kind, ScorerKind::Simulation | ScorerKind::Surprisal) {
            assert!(score.n > 0 && score.n_failed == 0, "{details:?}");
            for row in &details.examples {
                assert_eq!(row.truth.len(), row.predicted.len());
                assert!(row.predicted.iter().all(|value| value.is_finite()));
            }
        }
    }
}
