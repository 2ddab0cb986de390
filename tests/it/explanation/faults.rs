//! A database that refuses what a job writes: for one latent for good, or everything for a while.

use std::{collections::BTreeMap, time::Duration};

use latentd_autointerp::provider::faults::Endpoint;
use latentd_client::{ExplainRequest, Explainer, JobState, ScorerKind};
use latentd_store::test_support::execute;

use super::explain::{run, with_cache};
use crate::harness::{
    endpoint,
    server::{SAE, TestServer},
    wait::until,
};

/// Makes `table` refuse rows with this SQLSTATE where `condition` holds.
async fn refuse(server: &TestServer, table: &str, event: &str, state: &str, condition: &str) {
    let sql = format!(
        "create or replace function refuse_{table}() returns trigger language plpgsql as $$
         begin raise exception 'on purpose' using errcode = '{state}'; end $$;
         create trigger refuse before {event} on {table} for each row when ({condition})
             execute function refuse_{table}();"
    );
    execute(&server.database_url, &sql).await;
}

/// What was asked since the provider was registered, and how often.
fn sends(endpoint: &Endpoint, before: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let mut sends = endpoint.sends();
    sends.retain(|key, _| !before.contains_key(key));
    sends
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_refused_fail_their_item_alone() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let before = endpoint.sends();
    let condition = format!("new.latent = {}", latents[1]);
    refuse(&server, "explanation", "insert", "23514", &condition).await;
    let request =
        ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake")).examples(endpoint::few());
    let job = run(&server, request).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert!(job.in_part, "no plain success: {:?}", job.progress);
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.failed, 1);
    assert_eq!(summary.explained, latents.len() as u64 - 1);
    let sends = sends(&endpoint, &before);
    assert_eq!(sends.len(), latents.len());
    assert!(sends.values().all(|&sends| sends == 1), "{sends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_refused_fail_their_item_alone() {
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let before = endpoint.sends();
    let condition = "new.state = 1 and new.hash < '8'";
    refuse(&server, "llm_exchange", "update", "23514", condition).await;
    let request =
        ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake")).examples(endpoint::few());
    let job = run(&server, request).await;
    let sends = sends(&endpoint, &before);
    assert_eq!(sends.len(), latents.len());
    assert!(sends.values().all(|&sends| sends == 1), "{sends:?}");
    let refused = sends.keys().filter(|key| key.as_str() < "8").count() as u64;
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.failed, refused);
    assert_eq!(summary.explained, latents.len() as u64 - refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_out_and_nothing_is_asked_twice() {
    const TABLES: [&str; 9] = [
        "llm_exchange",
        "work_item",
        "explanation",
        "score",
        "job",
        "job_count",
        "job_event",
        "job_explanation",
        "process",
    ];
    let (server, latents) = with_cache().await;
    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    endpoint.set(|request| endpoint::answer(request).later(Duration::from_millis(300)));
    let before = endpoint.sends();
    let request = ExplainRequest::new(SAE, latents.clone(), Explainer::by("fake"))
        .scorer(ScorerKind::Detection)
        .scorer(ScorerKind::Fuzzing)
        .examples(endpoint::few());
    let job = server.client.explain(request).await.unwrap();
    until("a call is under way", || async {
        !sends(&endpoint, &before).is_empty()
    })
    .await;
    for table in TABLES {
        refuse(&server, table, "insert or update", "53100", "true").await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let waits = server.client.job(&job.name).await.unwrap();
    assert_eq!(waits.state, JobState::Running, "{:?}", waits.error);
    for table in TABLES {
        let drop = format!("drop trigger refuse on {table}");
        execute(&server.database_url, &drop).await;
    }
    let ended = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    assert_eq!((ended.progress.failed, ended.in_part), (0, false));
    let sends = sends(&endpoint, &before);
    assert!(sends.values().all(|&sends| sends == 1), "{sends:?}");
    let summary = server.client.job_summary(&job.name).await.unwrap();
    assert_eq!(summary.explained, latents.len() as u64);
    assert_eq!(summary.spent.calls, sends.len() as u64);
}
