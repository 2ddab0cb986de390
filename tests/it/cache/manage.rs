//! ListCaches, GetCache, DeleteCache.

use futures::TryStreamExt;
use latentd_client::ExamplesRequest;

use crate::harness::{
    corpus,
    server::{SAE, TestServer, small},
};

/// What a cache holds of one latent: its tokens.
async fn tokens(server: &TestServer, cache: &str) -> Vec<Vec<u32>> {
    let request = ExamplesRequest::range(SAE, 0..96).cache(cache);
    let read: Vec<_> = server
        .client
        .examples(request)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let examples = read.into_iter().flat_map(|latent| latent.examples);
    examples.map(|example| example.ids).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_another_server_deleted_is_not_read_on() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 3, 40);
    server.build("one", &folder).await;
    let old = tokens(&server, "one").await;
    assert!(!old.is_empty());

    let (_running, client) = server.another().await;
    client.delete_cache("one").await.unwrap();
    let gone = server
        .client
        .examples(ExamplesRequest::new(SAE, [1]).cache("one"))
        .await
        .map(|_| ());
    assert_eq!(gone.unwrap_err().reason, "UNKNOWN_CACHE");

    let file = server.path().join("other.txt");
    fs_err::write(&file, corpus::prose(77, 60)).unwrap();
    server.build("one", &file).await;
    server.build("two", &file).await;
    let new = tokens(&server, "one").await;
    assert_ne!(new, old);
    assert_eq!(new, tokens(&server, "two").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_are_listed_and_deleted_with_their_files() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 3, 40);
    let one = server.build("one", &folder).await;
    let two = server.build("two", &folder).await;
    let listed: Vec<_> = server.client.caches().try_collect().await.unwrap();
    assert_eq!(listed, [one.clone(), two]);
    assert!(one.size_bytes > 0);
    assert!(server.client.delete_cache("one").await.unwrap() >= one.size_bytes);
    assert!(!server.path().join("caches/one").exists());
    assert_eq!(
        server.client.cache("one").await.unwrap_err().reason,
        "UNKNOWN_CACHE"
    );
    let error = server
        .client
        .examples(ExamplesRequest::new(SAE, [1]).cache("one"))
        .await
        .map(|_| ());
    assert_eq!(error.unwrap_err().reason, "UNKNOWN_CACHE");
    server.build("one", &folder).await;
}
