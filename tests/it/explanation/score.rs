//! ScoreExplanations: what somebody wrote is scored, and answers that cannot be read are counted and never scored as wrong.

use latentd_autointerp::provider::faults::{Answer, Request};
use latentd_client::{JobState, ScoreRequest, Scorer, ScorerKind};

use super::explain::with_cache;
use crate::harness::{endpoint, server::SAE};

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wrote_is_scored() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let mut names = Vec::new();
    for &latent in &latents {
        let text = format!("What latent {latent} is about");
        let made = server.client.create_explanation(SAE, latent, &text, "ada");
        names.push(made.await.unwrap().name);
    }
    let detection = Scorer::from(ScorerKind::Detection)
        .provider("fake")
        .examples_per_prompt(5);
    // All explanations of the SAE: neither latents nor explanations are named.
    let request = ScoreRequest::new(SAE, detection.clone()).examples(endpoint::few());
    let job = server.client.score(request).await.unwrap();
    assert_eq!(job.kind, "score_explanations");
    let job = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    for name in &names {
        let explanation = server.client.explanation(name).await.unwrap();
        let score = explanation.score(ScorerKind::Detection).unwrap();
        assert_eq!((score.value, score.n), (Some(0.5), 8), "{score:?}");
        assert_eq!(score.job, job.name);
    }

    // One of them alone, and answers that are no answers.
    endpoint.set(|_: &Request| Answer::Chat("I cannot tell.".to_owned()));
    let request = ScoreRequest::new(SAE, detection.examples_per_prompt(3))
        .explanations([names[0].clone()])
        .examples(endpoint::few());
    let job = server.client.score(request).await.unwrap();
    let job = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(job.state, JobState::Failed, "nothing was scored");
    let error = job.error.unwrap();
    assert_eq!(error.reason, "NOTHING_SUCCEEDED");
    assert!(error.message.contains("8 examples failed"), "{error}");
    assert!(error.message.contains("ANSWER_NOT_PARSED"), "{error}");
    assert_eq!(job.progress.total, 2);
    let summary = server.client.job_summary(&job.name).await.unwrap();
    let reasons = &summary.scorers[0].reasons;
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert_eq!(
        (reasons[0].reason.as_str(), reasons[0].examples),
        ("ANSWER_NOT_PARSED", 8)
    );
    assert_eq!(reasons[0].latents, [latents[0]]);
    assert!(!reasons[0].detail.is_empty());
    let explanation = server.client.explanation(&names[0]).await.unwrap();
    assert_eq!(explanation.scores.len(), 2);
    let newest = &explanation.scores[0];
    assert_eq!((newest.value, newest.n, newest.n_failed), (None, 0, 8));
    let details = server.client.score_details(&newest.name).await.unwrap();
    for example in &details.examples {
        assert_eq!(example.failure, "ANSWER_NOT_PARSED");
        assert_eq!(example.prediction, None);
    }
}
