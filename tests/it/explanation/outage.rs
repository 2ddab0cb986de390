//! A database that goes away in mid-job, and one whose clock jumps: every job ends, no item is failed by it, no question is asked
//! twice.

use std::{collections::BTreeMap, time::Duration};

use latentd_autointerp::provider::faults::Endpoint;
use latentd_client::{
    CreateProviderRequest, ExplainRequest, Explainer, Job, JobState, ProviderLimits, ScorerKind,
};
use latentd_store::test_support::{self, DataDir, execute};

use crate::harness::{
    corpus, endpoint,
    proxy::Proxy,
    server::{SAE, TestServer, on},
    wait::until,
};

/// Calls under way at once.
const IN_FLIGHT: u32 = 3;
/// What the endpoint takes for an answer.
const THINKING: Duration = Duration::from_millis(200);

/// A server on the database at `url`, with a cache, and an endpoint that takes its time.
async fn ready(url: &str) -> (TestServer, Endpoint) {
    let server = on(DataDir::new(), url.to_owned(), &[]).await;
    server.load_small().await;
    let folder = corpus::folder(server.path(), 40, 120);
    server.build("c", &folder).await;
    let endpoint = endpoint::start().await;
    let limits = ProviderLimits {
        max_in_flight: IN_FLIGHT,
        ..ProviderLimits::default()
    };
    let provider = CreateProviderRequest::openai("fake", endpoint.base_url(), "fake")
        .limits(limits)
        .skip_probe();
    server.client.create_provider(provider).await.unwrap();
    endpoint.set(|request| endpoint::answer(request).later(THINKING));
    (server, endpoint)
}

async fn begin(server: &TestServer, endpoint: &Endpoint) -> Job {
    let request = ExplainRequest::range(SAE, 0..32, Explainer::by("fake"))
        .scorer(ScorerKind::Detection)
        .examples(endpoint::few());
    let job = server.client.explain(request).await.unwrap();
    until("calls are under way", || async {
        endpoint.requests().len() > IN_FLIGHT as usize
    })
    .await;
    job
}

/// Waits for the end: everything that can be explained is, and nothing was asked twice.
async fn ends_well(server: &TestServer, job: &Job, endpoint: &Endpoint) {
    let ended = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    assert_eq!(ended.progress.failed, 0, "{:?}", ended.progress.reasons);
    let twice: BTreeMap<_, _> = endpoint.sends();
    let twice: Vec<_> = twice.iter().filter(|(_, sends)| **sends > 1).collect();
    assert!(twice.is_empty(), "asked twice: {twice:?}");
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.spent.calls, endpoint.requests().len() as u64);
    assert!(summary.explained > 10, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_no_more_is_asked_than_may_be_under_way() {
    let mut proxy = Proxy::before(&test_support::database().await.url());
    let (server, endpoint) = ready(proxy.url()).await;
    let job = begin(&server, &endpoint).await;
    proxy.cut();
    let before = endpoint.requests().len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sent = endpoint.requests().len() - before;
    proxy.restore();
    // What was under way when the road was cut is answered and held; as many may have had their turn just then.
    assert!(sent <= 2 * IN_FLIGHT as usize, "{sent} calls were sent");
    ends_well(&server, &job, &endpoint).await;
}

/// A database whose `now()` is `clock.ahead` off.
async fn clocked() -> String {
    let url = test_support::database().await.url();
    let sql = "create schema clock;
         create table clock.ahead (by interval not null);
         insert into clock.ahead values ('0');
         create function clock.now() returns timestamptz language sql stable
             as 'select pg_catalog.now() + by from clock.ahead';
         do $$ begin
             execute format('alter database %I set search_path = public, clock, pg_catalog', current_database());
         end $$;";
    execute(&url, sql).await;
    url
}

/// Runs a job in which the clock of the database jumps.
async fn jump(by: &str) {
    let url = clocked().await;
    let (server, endpoint) = ready(&url).await;
    let job = begin(&server, &endpoint).await;
    execute(&url, &format!("update clock.ahead set by = '{by}'")).await;
    tokio::time::timeout(Duration::from_secs(40), server.client.wait_job(&job.name))
        .await
        .expect("the job ends")
        .unwrap();
    ends_well(&server, &job, &endpoint).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_day_ahead_changes_nothing() {
    jump("1 day").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_a_day_changes_nothing() {
    jump("-1 day").await;
}
