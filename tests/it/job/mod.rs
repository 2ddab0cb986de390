//! JobService.

use futures::{StreamExt, TryStreamExt};
use latentd_client::{BuildCacheRequest, Corpus, JobFilter, JobState};

use crate::harness::{
    corpus,
    server::{SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_watched_from_any_event_on() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 6, 60);
    let cache = server.build("watched", &folder).await;
    let events: Vec<_> = server
        .client
        .watch_job(&cache.job, 0)
        .try_collect()
        .await
        .unwrap();
    assert!(events.len() >= 3, "queued, running, ended");
    assert!(events.is_sorted_by_key(|event| event.id));
    let last = events.last().unwrap();
    assert_eq!(last.job.state, JobState::Succeeded);
    assert_eq!(
        (last.job.progress.done, last.job.progress.total),
        (cache.tokens, cache.tokens)
    );
    let resumed: Vec<_> = server
        .client
        .watch_job(&cache.job, events[0].id)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(resumed, events[1..]);
    let listed: Vec<_> = server
        .client
        .jobs(JobFilter::new().kind("build_cache"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed[0].name, cache.job);
    assert_eq!(
        server
            .client
            .cancel_job(&cache.job)
            .await
            .unwrap_err()
            .reason,
        "JOB_ENDED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_ends_and_leaves_nothing() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 400, 3000);
    let corpus = Corpus::new([folder.display().to_string()]);
    let request = BuildCacheRequest::new(SAE, corpus)
        .cache_id("cancelled")
        .context_length(32);
    let job = server.client.build_cache(request).await.unwrap();
    let mut events = server.client.watch_job(&job.name, 0);
    while let Some(event) = events.next().await {
        if event.unwrap().job.state == JobState::Running {
            break;
        }
    }
    server.client.cancel_job(&job.name).await.unwrap();
    let ended = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
    assert!(ended.cancel_requested);
    let error = server.client.delete_cache("cancelled").await;
    assert!(
        error.is_ok(),
        "a cache whose job was cancelled can be deleted: {error:?}"
    );
    assert!(!server.path().join("caches/cancelled").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_the_same_job() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 2, 40);
    let request = |id: &str| {
        BuildCacheRequest::new(SAE, Corpus::new([folder.display().to_string()]))
            .cache_id(id)
            .request_id("mine")
    };
    let first = server.client.build_cache(request("one")).await.unwrap();
    let again = server.client.build_cache(request("one")).await.unwrap();
    assert_eq!(first.name, again.name);
    let other = server.client.build_cache(request("two")).await.unwrap_err();
    assert_eq!(other.reason, "REQUEST_ID_REUSED");
}
