//! UploadCorpus: texts of the caller become a corpus, whole or not at all.

use std::{collections::BTreeSet, path::PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use latentd_client::{BuildCacheRequest, Corpus, ExamplesRequest, JobState, UploadedCorpus};

use crate::harness::{
    corpus,
    server::{SAE, TestServer, small, small_with},
    wait::until,
};

fn texts(count: u64) -> Vec<String> {
    (0..count).map(|seed| corpus::prose(seed, 30)).collect()
}

async fn upload(server: &TestServer, texts: &[String]) -> latentd_client::Result<UploadedCorpus> {
    server
        .client
        .upload_corpus(stream::iter(texts.to_vec()))
        .await
}

fn stored(server: &TestServer) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(server.path().join("corpora"));
    entries.map_or(Vec::new(), |entries| {
        entries.map(|entry| entry.unwrap().path()).collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_built_of_what_was_uploaded() {
    let server = small().await;
    let mut texts = texts(6);
    texts.insert(2, "  ".to_owned());
    let uploaded = upload(&server, &texts).await.unwrap();
    assert_eq!(uploaded.documents, Some(7));
    assert_eq!(upload(&server, &texts).await.unwrap().name, uploaded.name);
    assert_eq!(stored(&server).len(), 1);

    let request = BuildCacheRequest::new(SAE, Corpus::uploaded(&uploaded.name))
        .cache_id("uploaded")
        .context_length(32);
    let job = server.client.build_cache(request).await.unwrap();
    let job = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);

    let file = server.path().join("same.jsonl");
    let line = |text| serde_json::json!({ "text": text }).to_string();
    let lines: Vec<String> = texts.iter().map(line).collect();
    fs_err::write(&file, lines.join("\n")).unwrap();
    let of_file = server.build("file", &file).await;
    let of_upload = server.client.cache("uploaded").await.unwrap();
    assert_eq!(of_upload.manifest_digest, of_file.manifest_digest);

    // A document is known by its place in the caller's list.
    let request = ExamplesRequest::range(SAE, 0..96)
        .cache("uploaded")
        .count(50);
    let latents = server.client.examples(request).await.unwrap();
    let latents: Vec<_> = latents.try_collect().await.unwrap();
    let examples = latents.iter().flat_map(|latent| &latent.examples);
    let documents: BTreeSet<u64> = examples.map(|example| example.document).collect();
    assert_eq!(documents, BTreeSet::from([0, 1, 3, 4, 5, 6]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_refused_and_leaves_nothing() {
    let limits = [
        ("limits.max_corpus_bytes", "2000"),
        ("corpora.max_bytes", "3000"),
    ];
    let server = small_with(&limits).await;
    let reason = |result: latentd_client::Result<UploadedCorpus>| result.unwrap_err().reason;
    let blank = [String::new(), "\n".to_owned()];
    assert_eq!(reason(upload(&server, &[]).await), "EMPTY_CORPUS");
    assert_eq!(reason(upload(&server, &blank).await), "EMPTY_CORPUS");
    let long = ["x".repeat(3000)];
    assert_eq!(reason(upload(&server, &long).await), "BATCH_TOO_LARGE");
    assert!(stored(&server).is_empty());
    for text in ["a", "b"] {
        upload(&server, &[text.repeat(1800)]).await.unwrap();
    }
    assert_eq!(stored(&server).len(), 2);
    let third = upload(&server, &["c".to_owned()]).await;
    assert_eq!(reason(third), "DISK_FULL");

    let request = |corpus| BuildCacheRequest::new(SAE, corpus);
    let unknown = request(Corpus::uploaded("corpora/0123456789abcdef"));
    let error = server.client.build_cache(unknown).await.unwrap_err();
    assert_eq!(error.reason, "UNKNOWN_CORPUS");
    let malformed = request(Corpus::uploaded("corpora/../../etc/passwd"));
    let error = server.client.build_cache(malformed).await.unwrap_err();
    assert_eq!(error.reason, "INVALID_REQUEST");
    let both = request(Corpus::uploaded("corpora/0123").text_field("body"));
    let error = server.client.build_cache(both).await.unwrap_err();
    assert_eq!(error.violations[0].field, "corpus.text_field");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let server = small().await;
    let documents = stream::iter(texts(3000)).chain(stream::pending());
    let mut upload = Box::pin(server.client.upload_corpus(documents));
    tokio::select! {
        ended = &mut upload => panic!("{ended:?}"),
        () = until("an upload has begun", async || !stored(&server).is_empty()) => {}
    }
    drop(upload);
    until("nothing is left of it", async || stored(&server).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_said_at_once() {
    let server = small().await;
    let uploaded = upload(&server, &texts(2)).await.unwrap();
    for file in stored(&server) {
        fs_err::remove_file(file).unwrap();
    }
    let request = BuildCacheRequest::new(SAE, Corpus::uploaded(&uploaded.name));
    let error = server.client.build_cache(request).await.unwrap_err();
    assert_eq!(error.reason, "UNKNOWN_CORPUS");
}

#[tokio::test(flavor = "multi_thread")]
async fn corpora_are_listed_and_deleted_but_not_from_under_a_build() {
    let server = small().await;
    let [first, second] = [
        upload(&server, &texts(2)).await.unwrap(),
        upload(&server, &texts(3)).await.unwrap(),
    ];
    let mut listed = server.client.corpora().to_vec().await.unwrap();
    listed.sort_by_key(|corpus| corpus.size_bytes);
    let names: Vec<&String> = listed.iter().map(|corpus| &corpus.name).collect();
    assert_eq!(names, [&first.name, &second.name]);
    assert!(
        listed
            .iter()
            .all(|corpus| corpus.documents.is_none() && corpus.expires.is_some())
    );

    let freed = server.client.delete_corpus(&first.name).await.unwrap();
    assert_eq!(freed, first.size_bytes);
    assert_eq!(stored(&server).len(), 1);
    let error = server.client.delete_corpus(&first.name).await.unwrap_err();
    assert_eq!(error.reason, "UNKNOWN_CORPUS");
    let (_, other) = second.name.split_once('/').unwrap();
    assert!(error.message.contains(other), "{}", error.message);

    let long = upload(&server, &texts(400)).await.unwrap();
    let request = BuildCacheRequest::new(SAE, Corpus::uploaded(&long.name)).cache_id("reads");
    let job = server.client.build_cache(request).await.unwrap();
    let error = server.client.delete_corpus(&long.name).await.unwrap_err();
    assert_eq!(error.reason, "RESOURCE_IN_USE");
    server.client.wait_job(&job.name).await.unwrap();
    server.client.delete_corpus(&long.name).await.unwrap();
}
