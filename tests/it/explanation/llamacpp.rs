//! Explaining and scoring with a real llama.cpp server: the API as it is spoken, and not as tests imagine it.

use latentd_client::{CreateProviderRequest, ExplainRequest, Explainer, JobState, ScorerKind};

use super::explain;
use crate::harness::{endpoint, llama_cpp::LlamaCpp, server::SAE};

const SCORERS: [ScorerKind; 6] = [
    ScorerKind::Detection,
    ScorerKind::Fuzzing,
    ScorerKind::Simulation,
    ScorerKind::SimulationJson,
    ScorerKind::Surprisal,
    ScorerKind::Intruder,
];

#[tokio::test(flavor = "multi_thread")]
async fn llama_cpp_explains_and_scores() {
    let llama_cpp = LlamaCpp::start().await;
    let (server, latents) = explain::with_cache().await;
    let request = CreateProviderRequest::openai("llama", llama_cpp.base_url(), "smollm2");
    let provider = server.client.create_provider(request).await.unwrap();
    let can = &provider.capabilities;
    assert!(
        can.json_schema && can.chat_logprobs && can.prompt_logprobs,
        "{can:?}"
    );
    assert_eq!(can.context_length, 4096);

    let latents: Vec<u32> = latents.into_iter().take(2).collect();
    let request =
        ExplainRequest::new(SAE, latents.clone(), Explainer::by("llama")).examples(endpoint::few());
    let request = SCORERS
        .into_iter()
        .fold(request, |request, kind| request.scorer(kind));
    let job = explain::run(&server, request).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(job.progress.done, job.progress.total);
    assert_eq!(job.progress.total, (7 * latents.len()) as u64);
    let found = explain::explanations(&server, &job).await;
    assert_eq!(found.len(), latents.len());
    for explanation in &found {
        assert!(!explanation.text.is_empty());
        for kind in [ScorerKind::Simulation, ScorerKind::Surprisal] {
            let score = explanation.score(kind).unwrap();
            assert_eq!(score.n_failed, 0, "{score:?}");
            assert!(score.n > 0, "{score:?}");
            let details = server.client.score_details(&score.name).await.unwrap();
            for example in &details.examples {
                assert_eq!(example.truth.len(), example.predicted.len());
                assert!(example.predicted.iter().all(|value| value.is_finite()));
            }
        }
        // A model of 135 million parameters may lose the form of an answer; nothing is lost or counted as wrong by that.
        for kind in SCORERS {
            let Some(score) = explanation.score(kind) else {
                continue;
            };
            let details = server.client.score_details(&score.name).await.unwrap();
            let failed = |failed: bool| {
                let rows = details.examples.iter();
                rows.filter(|row| row.failure.is_empty() != failed).count()
            };
            assert_eq!(failed(false), score.n as usize, "{score:?}");
            assert_eq!(failed(true), score.n_failed as usize, "{score:?}");
        }
    }
}
