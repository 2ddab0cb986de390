//! In the midst of an auto-interpretation job on which two servers work: of one, then of the other. No answer that was given is
//! asked for again, and what is stored is what an undisturbed job stores.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use latentd_autointerp::provider::faults::{Answer, Endpoint};
use latentd_client::{
    Budget, BuildCacheRequest, Client, Corpus, CreateProviderRequest, ExplainRequest, Explainer,
    ExplanationFilter, JobState, ProviderLimits, ScorerKind,
};
use latentd_store::test_support::{self, DataDir};

use crate::harness::{corpus, endpoint, process::ServerProcess, server::SAE};

/// Calls under way at once, of both servers together.
const IN_FLIGHT: u32 = 8;
/// What the endpoint takes for an answer.
const THINKING: Duration = Duration::from_millis(30);

/// An endpoint that takes its time, and that can be told to answer nobody.
struct Oracle {
    endpoint: Endpoint,
    silent: Arc<AtomicBool>,
    /// How often each `Idempotency-Key` was answered.
    answers: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Oracle {
    async fn start() -> Self {
        let silent = Arc::new(AtomicBool::new(false));
        let answers: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let (told, given) = (Arc::clone(&silent), Arc::clone(&answers));
        let endpoint = Endpoint::start(move |request| {
            if told.load(Ordering::SeqCst) {
                return Answer::Hang;
            }
            let mut given = given.lock().unwrap();
            *given.entry(request.key().to_owned()).or_default() += 1;
            endpoint::answer(request).later(THINKING)
        });
        Self {
            endpoint: endpoint.await.unwrap(),
            silent,
            answers,
        }
    }

    /// From now on nobody is answered. Returns once all answers that were given have arrived.
    async fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
        tokio::time::sleep(THINKING * 20).await;
    }

    fn speak(&self) {
        self.silent.store(false, Ordering::SeqCst);
    }

    /// The questions that were answered, and those that were answered more than once.
    fn answered(&self) -> (usize, Vec<String>) {
        let answers = self.answers.lock().unwrap();
        let twice = answers.iter().filter(|(_, times)| **times > 1);
        (answers.len(), twice.map(|(key, _)| key.clone()).collect())
    }
}

async fn load(client: &Client, dir: &DataDir) {
    super::cache_build::load(client, dir.path()).await;
    let folder = corpus::folder(dir.path(), 40, 120);
    let request = BuildCacheRequest::new(SAE, Corpus::new([folder.display().to_string()]))
        .cache_id("c")
        .context_length(32);
    let job = client.build_cache(request).await.unwrap();
    let job = client.wait_job(&job.name).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
}

fn request() -> ExplainRequest {
    ExplainRequest::range(SAE, 0..40, Explainer::by("oracle"))
        .scorer(ScorerKind::Detection)
        .scorer(ScorerKind::Fuzzing)
        .scorer(ScorerKind::Intruder)
        .examples(endpoint::few())
}

/// Waits until so many items are over.
async fn reach(client: &Client, job: &str, items: u64) {
    let mut events = client.watch_job(job, 0);
    while let Some(event) = events.next().await {
        let job = event.unwrap().job;
        assert!(!job.state.has_ended(), "{job:?}");
        if job.progress.done >= items {
            return;
        }
    }
    panic!("the job ended before it was interrupted");
}

/// What a job stored: every row of every score, by latent, scorer and example.
async fn rows(client: &Client, job: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    let filter = ExplanationFilter::new().job(job);
    let explanations: Vec<_> = client.explanations(filter).try_collect().await.unwrap();
    for explanation in explanations {
        let latent = explanation.latent;
        let old = rows.insert(format!("{latent}"), explanation.text.clone());
        assert_eq!(old, None, "latent {latent} has one explanation");
        for score in explanation.scores.iter().filter(|score| score.job == job) {
            let details = client.score_details(&score.name).await.unwrap();
            for (at, row) in details.examples.iter().enumerate() {
                let key = format!("{latent} {} {at}", score.scorer);
                let value = format!(
                    "{} {:?} {:?} {} {}",
                    row.example, row.label, row.prediction, row.failure, row.exchange
                );
                assert_eq!(
                    rows.insert(key.clone(), value),
                    None,
                    "{key} is there twice"
                );
            }
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_job_no_answer_is_asked_for_twice() {
    let dir = DataDir::new();
    let url = test_support::database().await.url();
    let oracle = Oracle::start().await;
    let first = ServerProcess::start_on(dir.path(), &url).await;
    load(&first.client, &dir).await;
    let limits = ProviderLimits {
        max_in_flight: IN_FLIGHT,
        timeout_seconds: 2,
        ..ProviderLimits::default()
    };
    let provider = CreateProviderRequest::openai("oracle", oracle.endpoint.base_url(), "m")
        .limits(limits)
        .skip_probe();
    first.client.create_provider(provider).await.unwrap();
    let second = ServerProcess::start_on(dir.path(), &url).await;

    let job = first.client.explain(request()).await.unwrap().name;
    reach(&second.client, &job, 20).await;
    oracle.fall_silent().await;
    first.kill();
    oracle.speak();

    let third = ServerProcess::start_on(dir.path(), &url).await;
    reach(&third.client, &job, 60).await;
    oracle.fall_silent().await;
    second.kill();
    oracle.speak();

    let ended = third.client.wait_job(&job).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    assert_eq!(ended.progress.done, ended.progress.total);
    assert_eq!(ended.progress.failed, 0);
    // What was asked while nobody was answered was asked again, and nothing else.
    let (answered, twice) = oracle.answered();
    assert_eq!(twice, Vec::<String>::new(), "answered, and asked again");
    assert!(answered > 100, "{answered}");
    let stored = rows(&third.client, &job).await;
    assert!(stored.len() > 100, "{}", stored.len());

    // The same job again is all from the store, and finds the same.
    let sent = oracle.endpoint.requests().len();
    let again = third.client.explain(request()).await.unwrap();
    let again = third.client.wait_job(&again.name).await.unwrap();
    assert_eq!(again.state, JobState::Succeeded, "{:?}", again.error);
    assert_eq!(oracle.endpoint.requests().len(), sent);
    assert_eq!(again.progress.spent.unwrap().calls, 0);
    assert_eq!(rows(&third.client, &again.name).await, stored);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirteen_kills_in_a_job_take_nothing_from_it() {
    let dir = DataDir::new();
    let oracle = Oracle::start().await;
    let mut server = ServerProcess::start(dir.path()).await;
    load(&server.client, &dir).await;
    let limits = ProviderLimits {
        max_in_flight: IN_FLIGHT,
        timeout_seconds: 30,
        ..ProviderLimits::default()
    };
    let provider = CreateProviderRequest::openai("oracle", oracle.endpoint.base_url(), "m")
        .limits(limits)
        .skip_probe();
    server.client.create_provider(provider).await.unwrap();
    let job = server.client.explain(request()).await.unwrap().name;
    for kill in 1..=13 {
        reach(&server.client, &job, kill * 6).await;
        oracle.fall_silent().await;
        server.kill();
        oracle.speak();
        server = ServerProcess::start(dir.path()).await;
    }
    let ended = server.client.wait_job(&job).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let progress = &ended.progress;
    assert_eq!(progress.failed, 0, "{:?}", progress.reasons);
    assert!(!ended.in_part);
    assert_eq!(progress.done, progress.total);
    let (_, twice) = oracle.answered();
    assert_eq!(twice, Vec::<String>::new(), "answered, and asked again");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_pauses_the_job_and_a_larger_one_lets_it_end() {
    let dir = DataDir::new();
    let url = test_support::database().await.url();
    let oracle = Oracle::start().await;
    let server = ServerProcess::start_on(dir.path(), &url).await;
    load(&server.client, &dir).await;
    let provider = CreateProviderRequest::openai("oracle", oracle.endpoint.base_url(), "m");
    let provider = provider.skip_probe();
    server.client.create_provider(provider).await.unwrap();
    let budget = Budget {
        calls: 25,
        ..Budget::default()
    };
    let job = server
        .client
        .explain(request().budget(budget))
        .await
        .unwrap();
    let mut events = server.client.watch_job(&job.name, 0);
    let paused = loop {
        let job = events.next().await.unwrap().unwrap().job;
        assert!(!job.state.has_ended(), "{job:?}");
        if job.state == JobState::Paused {
            break job;
        }
    };
    assert_eq!(paused.pause_reason, "budget");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(oracle.endpoint.requests().len(), 25, "not one call more");
    // Nothing is lost by the pause: what was paid for is not asked for again.
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
    assert_eq!(oracle.answered().1, Vec::<String>::new());
    server.stop().await;
}
