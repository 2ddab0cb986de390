//! A server that is taken for dead, while it is only stopped, and comes back: it does no harm to what others made meanwhile.

use std::{path::Path, time::Duration};

use futures::TryStreamExt;
use latentd_client::{ExamplesRequest, JobState};
use latentd_store::{
    Database, Store,
    leases::Owner,
    test_support::{self, DataDir},
};
use rustix::process::Signal;

use super::cache_build::{digests, load, reach, start_build};
use crate::harness::{process::ServerProcess, server::SAE};

/// The folders of caches, by name, with what is in them.
fn files(dir: &Path) -> std::collections::BTreeMap<String, String> {
    digests(&dir.join("caches/built"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_comes_back_does_not_touch_the_cache_that_was_built_meanwhile() {
    let dir = DataDir::new();
    let url = test_support::database().await.url();
    let stopped = ServerProcess::start_on(dir.path(), &url).await;
    load(&stopped.client, dir.path()).await;
    let job = start_build(&stopped.client, dir.path()).await;
    reach(&stopped.client, &job, 1).await;
    stopped.signal(Signal::STOP);

    // Its leases run out, and another server goes on with the build.
    let other = ServerProcess::start_on(dir.path(), &url).await;
    let store = Store::connect(&Database::from_url(&url).unwrap())
        .await
        .unwrap();
    store.leases().expire_others(Owner::new()).await.unwrap();
    let ended = other.client.wait_job(&job).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    assert!(ended.attempts >= 2);
    let first = other.client.cache("built").await.unwrap();
    // The cache is deleted, and another one is built under its name, of other text.
    other.client.delete_cache("built").await.unwrap();
    fs_err::remove_dir_all(dir.path().join("corpus")).unwrap();
    let again = start_build(&other.client, dir.path()).await;
    let ended = other.client.wait_job(&again).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let built = other.client.cache("built").await.unwrap();
    assert_eq!(
        built.manifest_digest, first.manifest_digest,
        "the same text gives the same bytes"
    );
    let before = files(dir.path());

    stopped.signal(Signal::CONT);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = files(dir.path());
    for (name, digest) in &before {
        assert_eq!(after.get(name), Some(digest), "{name}");
    }
    let request = ExamplesRequest::range(SAE, 0..96).cache("built").count(5);
    for client in [&other.client, &stopped.client] {
        let examples = client.examples(request.clone()).await.unwrap();
        let examples: Vec<_> = examples.try_collect().await.unwrap();
        assert!(!examples.is_empty());
    }
    stopped.kill();
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_of_another_data_folder_is_told_and_left_alone() {
    let (here, there) = (DataDir::new(), DataDir::new());
    let url = test_support::database().await.url();
    let builder = ServerProcess::start_on(here.path(), &url).await;
    load(&builder.client, here.path()).await;
    let job = start_build(&builder.client, here.path()).await;
    let other = ServerProcess::start_on(there.path(), &url).await;
    reach(&builder.client, &job, 1).await;
    builder.kill();
    // The build is not for the other server, which has none of its files: its builder comes back.
    let store = Store::connect(&Database::from_url(&url).unwrap())
        .await
        .unwrap();
    store.leases().expire_others(Owner::new()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!other.client.job(&job).await.unwrap().state.has_ended());
    let builder = ServerProcess::start_on(here.path(), &url).await;
    let ended = builder.client.wait_job(&job).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);

    let cache = other.client.cache("built").await.unwrap();
    let info = builder.client.server_info().await.unwrap();
    assert_eq!(cache.data_folder, info.data_folder);
    assert_ne!(
        other.client.server_info().await.unwrap().data_folder,
        info.data_folder
    );
    let request = ExamplesRequest::range(SAE, 0..4).cache("built");
    let read = other.client.examples(request.clone()).await.map(|_| ());
    assert_eq!(read.unwrap_err().reason, "CACHE_ELSEWHERE");
    let deleted = other.client.delete_cache("built").await;
    assert_eq!(deleted.unwrap_err().reason, "CACHE_ELSEWHERE");
    assert!(builder.client.examples(request).await.is_ok());
    builder.client.delete_cache("built").await.unwrap();
    builder.stop().await;
    other.stop().await;
}
