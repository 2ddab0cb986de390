//! A disk that fills up in mid-build: the job fails with DISK_FULL, and the server lives on.

use std::{os::unix::fs::symlink, path::Path};

use latentd_client::{BuildCacheRequest, CacheState, Corpus, JobState};

use super::lives_on;
use crate::harness::{
    corpus,
    server::{SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_job_and_nothing_else() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 20, 200);
    let build = |id: &str, folder: &Path| {
        let corpus = Corpus::new([folder.display().to_string()]);
        server
            .client
            .build_cache(BuildCacheRequest::new(SAE, corpus).cache_id(id))
    };
    // One build at a time: the second waits for the first, and the folder of its first attempt can be made ready.
    let long = corpus::folder(&server.path().join("long"), 150, 500);
    let first = build("first", &long).await.unwrap();
    let job = build("full", &folder).await.unwrap();
    // Writing to /dev/full fails as a full disk does; the scratch file of the token ids leads there.
    let attempt = format!("{}.1", job.name.trim_start_matches("jobs/"));
    let attempt = server.path().join("caches/full").join(attempt);
    fs_err::create_dir_all(&attempt).unwrap();
    symlink("/dev/full", attempt.join("tokens.ids.tmp")).unwrap();
    server.client.cancel_job(&first.name).await.unwrap();
    let job = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(job.state, JobState::Failed, "{job:?}");
    assert_eq!(job.error.unwrap().reason, "DISK_FULL");
    assert_eq!(
        server.client.cache("full").await.unwrap().state,
        CacheState::Failed
    );
    server.client.delete_cache("full").await.unwrap();
    lives_on(&server).await;
    assert_eq!(server.build("full", &folder).await.state, CacheState::Ready);
}
