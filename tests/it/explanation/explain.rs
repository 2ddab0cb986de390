//! ExplainLatents and GetJobSummary: a whole job against an endpoint that answers, and against one that fails.

use std::{collections::BTreeSet, sync::Mutex};

use futures::TryStreamExt;
use latentd_autointerp::provider::faults::Fault;
use latentd_client::{
    ExplainRequest, Explainer, Explanation, ExplanationFilter, Job, JobState, ScorerKind,
};

use crate::harness::{
    corpus, endpoint,
    server::{SAE, TestServer, small},
};

/// A server with a cache, and the latents that fire in it often enough.
pub(super) async fn with_cache() -> (TestServer, Vec<u32>) {
    let server = small().await;
    let folder = corpus::folder(server.path(), 20, 120);
    server.build("c", &folder).await;
    let request = latentd_client::LatentStatsRequest::new("c").sae(SAE);
    let stats: Vec<_> = server
        .client
        .latent_stats(request)
        .try_collect()
        .await
        .unwrap();
    let often = stats.iter().filter(|stats| stats.count > 60);
    (server, often.map(|stats| stats.latent).take(4).collect())
}

pub(super) async fn run(server: &TestServer, request: ExplainRequest) -> Job {
    let job = server.client.explain(request).await.unwrap();
    server.client.wait_job(&job.name).await.unwrap()
}

pub(super) async fn explanations(server: &TestServer, job: &Job) -> Vec<Explanation> {
    let filter = ExplanationFilter::new().job(&job.name);
    server
        .client
        .explanations(filter)
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn latents_are_explained_and_scored() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let before = endpoint.requests().len();
    let request = || {
        ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
            .scorer(ScorerKind::Detection)
            .scorer(ScorerKind::Fuzzing)
            .examples(endpoint::few())
    };
    let job = run(&server, request()).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(job.progress.total, 3 * latents.len() as u64);
    assert_eq!(job.progress.done, job.progress.total);
    let found = explanations(&server, &job).await;
    let explained: Vec<u32> = found.iter().map(|explanation| explanation.latent).collect();
    assert_eq!(explained, latents);
    for explanation in &found {
        assert_eq!(explanation.text, endpoint::EXPLANATION);
        assert_eq!(explanation.provenance.job, job.name);
        assert_eq!(explanation.provenance.provider, "providers/fake");
        assert_eq!(explanation.provenance.cache, "caches/c");
        assert_eq!(explanation.provenance.examples.len(), 4);
        let shown: BTreeSet<&str> = explanation
            .provenance
            .examples
            .iter()
            .map(String::as_str)
            .collect();
        for kind in [ScorerKind::Detection, ScorerKind::Fuzzing] {
            let score = explanation.score(kind).unwrap();
            // Everything was said to be right, so half of it is.
            assert_eq!(score.value, Some(0.5), "{score:?}");
            assert_eq!((score.n, score.n_failed), (8, 0));
            let details = server.client.score_details(&score.name).await.unwrap();
            assert_eq!(details.examples.len(), 8);
            for example in &details.examples {
                assert!(!shown.contains(example.example.as_str()), "train and test");
                assert_eq!(example.prediction, Some(true));
                assert!(!example.exchange.is_empty());
            }
        }
    }

    assert_eq!(job.cache, "caches/c");
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.cache, "caches/c");
    assert_eq!((summary.reasons.len(), &summary.reduced), (0, &None));
    assert_eq!(summary.latents, latents.len() as u64);
    assert_eq!(summary.explained, latents.len() as u64);
    assert_eq!((summary.dead, summary.skipped, summary.failed), (0, 0, 0));
    let detection = &summary.scorers[0];
    assert_eq!(detection.scorer, "detection");
    assert_eq!(detection.true_positives, 4 * latents.len() as u64);
    assert_eq!(detection.false_positives, 4 * latents.len() as u64);
    assert!((detection.mean.unwrap() - 0.5).abs() < 1e-12);
    let spent = summary.spent;
    assert!(spent.calls > 0 && spent.reused == 0, "{spent:?}");

    // A second job that asks the same asks nobody.
    let sent = endpoint.requests().len();
    assert_eq!(spent.calls, (sent - before) as u64);
    let again = run(&server, request()).await;
    assert_eq!(again.state, JobState::Succeeded);
    assert_eq!(endpoint.requests().len(), sent);
    let names = |found: Vec<Explanation>| -> Vec<String> {
        found
            .into_iter()
            .map(|explanation| explanation.name)
            .collect()
    };
    assert_eq!(names(explanations(&server, &again).await), names(found));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latent_with_too_few_examples_is_left_out() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let request = ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
        .scorer(ScorerKind::Detection)
        .examples(endpoint::few().train(400).test(400, 4).min_examples(800));
    let job = run(&server, request).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert_eq!(job.progress.skipped, 2 * latents.len() as u64);
    assert_eq!(job.progress.failed, 0);
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.skipped, latents.len() as u64);
    assert_eq!(summary.explained, 0);
    let [reason] = summary.reasons.as_slice() else {
        panic!("{:?}", summary.reasons)
    };
    assert_eq!(reason.reason, "TOO_FEW_EXAMPLES");
    assert_eq!((reason.failed, reason.items), (false, latents.len() as u64));
    assert_eq!(reason.latents, latents);
    let found = reason.detail.split(' ').next().unwrap();
    let would_do = format!("{found} examples, 800 needed: min_examples {found} n_train ");
    assert!(reason.detail.starts_with(&would_do), "{}", reason.detail);
    assert_eq!(job.progress.reasons, summary.reasons, "the job says it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_held_back_where_nobody_scores_and_what_is_reduced_is_told() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let request = || {
        ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
            .examples(endpoint::few().window(32).train(400).test(400, 4))
    };
    let alone = run(&server, request()).await;
    let scored = run(&server, request().scorer(ScorerKind::Detection)).await;
    for job in [&alone, &scored] {
        assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    }
    let shown = async |job: &Job| -> Vec<usize> {
        let found = explanations(&server, job).await;
        let shown = found.iter().map(|found| found.provenance.examples.len());
        shown.collect()
    };
    for (all, some) in shown(&alone).await.iter().zip(shown(&scored).await) {
        assert!(some <= all / 2 && some + 1 >= all / 2, "{some} of {all}");
    }
    let reduced = async |job: &Job| {
        let summary = server.client.job_summary(&job.name).await.unwrap();
        summary.reduced.unwrap()
    };
    let fewest = *shown(&alone).await.iter().min().unwrap() as u32;
    let told = reduced(&alone).await;
    assert_eq!((told.latents, told.examples), (4, latents.clone()));
    assert_eq!((told.n_train, told.n_train_asked), (fewest, 400));
    assert_eq!((told.n_test, told.n_test_asked), (0, 0));
    let told = reduced(&scored).await;
    assert_eq!((told.n_train_asked, told.n_test_asked), (400, 400));
    assert_eq!(told.n_train + told.n_test, fewest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_the_latent_and_not_the_job() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let first = Mutex::new(None);
    endpoint.set(move |request| {
        let key = request.key().to_owned();
        if *first.lock().unwrap().get_or_insert(key.clone()) == key {
            Fault::Refusal.answer(request)
        } else {
            endpoint::answer(request)
        }
    });
    let request =
        ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake")).examples(endpoint::few());
    let job = run(&server, request).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let [reason] = job.progress.reasons.as_slice() else {
        panic!("{:?}", job.progress.reasons)
    };
    assert_eq!(reason.reason, "ANSWER_REFUSED");
    assert_eq!((reason.failed, reason.items), (true, 1));
    assert!(latents.contains(&reason.latents[0]), "{reason:?}");
    assert!(!reason.detail.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_which_nothing_succeeded_has_failed() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    endpoint.set(|request| Fault::Refusal.answer(request));
    let request = ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
        .scorer(ScorerKind::Detection)
        .examples(endpoint::few());
    let job = run(&server, request).await;
    assert_eq!(job.state, JobState::Failed);
    let error = job.error.clone().unwrap();
    assert_eq!(error.reason, "NOTHING_SUCCEEDED");
    assert!(error.message.contains("ANSWER_REFUSED"), "{error}");
    assert_eq!(error.metadata["reason"], "ANSWER_REFUSED");
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.failed, latents.len() as u64);
    let reasons: Vec<_> = summary
        .reasons
        .iter()
        .map(|reason| (reason.reason.as_str(), reason.failed, reason.items))
        .collect();
    assert_eq!(reasons, [("ANSWER_REFUSED", true, latents.len() as u64)]);
    assert!(explanations(&server, &job).await.is_empty());
    assert_eq!(summary.scorers[0].n, 0);
}
