//! PauseJob and ResumeJob: a job waits and goes on, on request or when its budget is spent.

use latentd_client::{Budget, ExplainRequest, Explainer, JobState, ScorerKind};
use latentd_domain::Reason;

use super::explain::with_cache;
use crate::harness::{
    corpus, endpoint,
    server::{SAE, small},
    wait::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_pauses_and_a_larger_one_goes_on() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let request = ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
        .scorer(ScorerKind::Detection)
        .examples(endpoint::few())
        .budget(Budget {
            calls: 2,
            ..Budget::default()
        });
    let before = endpoint.requests().len();
    let job = server.client.explain(request).await.unwrap();
    until("the budget is spent", || async {
        let job = server.client.job(&job.name).await.unwrap();
        job.state == JobState::Paused
    })
    .await;
    let paused = server.client.job(&job.name).await.unwrap();
    assert_eq!(paused.pause_reason, "budget");
    let resumed = server
        .client
        .resume_job(
            &job.name,
            Budget {
                calls: 1000,
                ..Budget::default()
            },
        )
        .await
        .unwrap();
    assert_ne!(resumed.state, JobState::Paused);
    let ended = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let sends = endpoint.sends();
    assert!(sends.values().all(|&sends| sends == 1 || before > 0));
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.explained, latents.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_on_request() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    endpoint.set(|request| endpoint::answer(request).later(std::time::Duration::from_millis(200)));
    let request = ExplainRequest::new(SAE, latents, Explainer::by("fake"))
        .scorer(ScorerKind::Detection)
        .examples(endpoint::few());
    let job = server.client.explain(request).await.unwrap();
    let paused = server.client.pause_job(&job.name).await.unwrap();
    assert_eq!(paused.state, JobState::Paused);
    assert_eq!(paused.pause_reason, "requested");
    // Asking again changes nothing.
    let again = server.client.pause_job(&job.name).await.unwrap();
    assert_eq!(again.state, JobState::Paused);
    let resume = || server.client.resume_job(&job.name, Budget::default());
    resume().await.unwrap();
    let ended = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let error = resume().await.unwrap_err();
    assert_eq!(error.reason, Reason::JobEnded.as_str());
    let error = server.client.pause_job(&job.name).await.unwrap_err();
    assert_eq!(error.reason, Reason::JobEnded.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_cannot_be_paused() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 400, 3000);
    let corpus = latentd_client::Corpus::new([folder.display().to_string()]);
    let request = latentd_client::BuildCacheRequest::new(SAE, corpus).context_length(32);
    let job = server.client.build_cache(request).await.unwrap();
    let error = server.client.pause_job(&job.name).await.unwrap_err();
    assert_eq!(error.reason, Reason::JobNotPausable.as_str());
    let resume = server.client.resume_job(&job.name, Budget::default());
    assert_eq!(
        resume.await.unwrap_err().reason,
        Reason::JobNotPausable.as_str()
    );
    server.client.cancel_job(&job.name).await.unwrap();
    server.client.wait_job(&job.name).await.unwrap();
}
