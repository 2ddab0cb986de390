//! In the midst of a cache build: of the server, of its Postgres, of both. Committed work survives, the build goes
//! on, and the cache has the bytes of one that nothing interrupted.

use std::{collections::BTreeMap, path::Path};

use futures::StreamExt;
use latentd_client::{BuildCacheRequest, Client, Corpus, JobState, LoadSaeRequest};
use latentd_store::test_support::DataDir;

use crate::harness::{corpus, golden, process::ServerProcess, sae, server::SAE, wait::until};

/// Enough rows for four shards of 65 536 tokens.
const DOCUMENTS: usize = 150;
const WORDS: usize = 500;

pub(super) async fn load(client: &Client, dir: &Path) {
    client
        .load_model("small", &golden("models/llama").display().to_string())
        .await
        .unwrap();
    let folder = dir.join("sae");
    sae::write(&folder, &sae::config(), 1);
    client
        .load_sae(LoadSaeRequest::new(
            "small",
            "topk",
            folder.display().to_string(),
        ))
        .await
        .unwrap();
}

pub(super) async fn start_build(client: &Client, dir: &Path) -> String {
    let folder = corpus::folder(dir, DOCUMENTS, WORDS);
    let request = BuildCacheRequest::new(SAE, Corpus::new([folder.display().to_string()]))
        .cache_id("built")
        .context_length(64)
        .seed(3);
    client.build_cache(request).await.unwrap().name
}

/// Waits until at least `tokens` are committed.
pub(super) async fn reach(client: &Client, job: &str, tokens: u64) {
    let mut events = client.watch_job(job, 0);
    while let Some(event) = events.next().await {
        let job = event.unwrap().job;
        assert_ne!(job.state, JobState::Failed, "{:?}", job.error);
        if job.progress.phase == "encoding" && job.progress.done >= tokens {
            return;
        }
    }
    panic!("the job ended before it was interrupted");
}

/// Waits for the end and reads every file of the cache.
async fn finish(client: &Client, dir: &Path, job: &str) -> BTreeMap<String, String> {
    let ended = client.wait_job(job).await.unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let folder = dir.join("caches/built");
    // What earlier attempts left goes a moment after the end of the job.
    until("the folder of one attempt is left", async || {
        fs_err::read_dir(&folder).unwrap().count() == 1
    })
    .await;
    digests(&folder)
}

pub(super) fn digests(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // The first folder has the name of the attempt that the cache is of.
                let inside: std::path::PathBuf = path
                    .strip_prefix(folder)
                    .unwrap()
                    .components()
                    .skip(1)
                    .collect();
                let name = inside.display().to_string();
                found.insert(
                    name,
                    blake3::hash(&fs_err::read(&path).unwrap())
                        .to_hex()
                        .to_string(),
                );
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_build_the_cache_has_the_same_bytes() {
    let whole = DataDir::new();
    let server = ServerProcess::start(whole.path()).await;
    load(&server.client, whole.path()).await;
    let job = start_build(&server.client, whole.path()).await;
    let expected = finish(&server.client, whole.path(), &job).await;
    assert!(
        expected
            .keys()
            .any(|name| name.ends_with("shard-00003.safetensors")),
        "{expected:?}"
    );
    assert!(expected.contains_key("manifest.json"));
    server.stop().await;

    let broken = DataDir::new();
    let server = ServerProcess::start(broken.path()).await;
    load(&server.client, broken.path()).await;
    let job = start_build(&server.client, broken.path()).await;
    reach(&server.client, &job, 1).await;
    server.kill();
    let server = ServerProcess::start(broken.path()).await;
    reach(&server.client, &job, 70_000).await;
    server.kill_both();
    let server = ServerProcess::start(broken.path()).await;
    server.kill_postgres();
    let resumed = finish(&server.client, broken.path(), &job).await;
    assert!(server.client.job(&job).await.unwrap().attempts >= 2);
    assert_eq!(
        resumed, expected,
        "an interrupted build has the bytes of one that was not"
    );
    server.stop().await;
}
