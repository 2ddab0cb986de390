//! ListCaches, GetCache, DeleteCache.

use futures::TryStreamExt;
use latentd_client::ExamplesRequest;

use crate::harness::{
    corpus,
    server::{SAE, small},
};

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
