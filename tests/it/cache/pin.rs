//! PinCache, and which cache is taken where none is named.

use futures::TryStreamExt;
use latentd_client::{Error, ExamplesRequest, ExplainRequest, Explainer, LatentStatsRequest};

use crate::harness::{
    corpus, endpoint,
    server::{RELU, SAE, TestServer, small},
};

/// The cache that examples are read from where none is named.
async fn read_from(server: &TestServer) -> Result<String, Error> {
    let mut examples = server
        .client
        .examples(ExamplesRequest::new(SAE, [1]))
        .await?;
    while examples.try_next().await?.is_some() {}
    Ok(examples.summary().unwrap().cache.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_caches_one_is_named_or_pinned() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 6, 60);
    server.build("brown", &folder).await;
    assert_eq!(
        read_from(&server).await.unwrap(),
        "caches/brown",
        "the only one"
    );

    // Somebody's toy changes nobody's results: it is not taken because it is newer.
    server.build("toy", &folder).await;
    let stats = || {
        let pages = server.client.latent_stats(LatentStatsRequest::of_sae(SAE));
        async { pages.to_vec().await.map(drop) }
    };
    let provider = endpoint::start().await;
    endpoint::register(&server, "fake", &provider).await;
    let explain = || {
        server
            .client
            .explain(ExplainRequest::new(SAE, [1], Explainer::by("fake")))
    };
    for error in [
        read_from(&server).await.unwrap_err(),
        stats().await.unwrap_err(),
        explain().await.unwrap_err(),
        server.client.cache_of(SAE).await.unwrap_err(),
    ] {
        assert_eq!(error.reason, "AMBIGUOUS_CACHE", "{error}");
        assert_eq!(error.metadata["caches"], "caches/toy, caches/brown");
        assert!(error.message.contains("caches/brown ("), "{error}");
    }

    let pinned = server.client.pin_cache("brown", true).await.unwrap();
    assert!(pinned.pinned);
    assert_eq!(read_from(&server).await.unwrap(), "caches/brown");
    stats().await.unwrap();
    let job = explain().await.unwrap();
    assert_eq!(job.cache, "caches/brown");
    server.client.wait_job(&job.name).await.unwrap();

    // One pin for an SAE: the later one stays.
    server.client.pin_cache("toy", true).await.unwrap();
    assert_eq!(
        server.client.cache_of(SAE).await.unwrap().name,
        "caches/toy"
    );
    assert!(!server.client.cache("brown").await.unwrap().pinned);
    server.client.pin_cache("toy", false).await.unwrap();
    assert_eq!(
        read_from(&server).await.unwrap_err().reason,
        "AMBIGUOUS_CACHE"
    );
    server.client.delete_cache("toy").await.unwrap();
    assert_eq!(read_from(&server).await.unwrap(), "caches/brown");

    let unknown = server.client.pin_cache("toy", true).await.unwrap_err();
    assert_eq!(unknown.reason, "UNKNOWN_CACHE");
    assert_eq!(
        server.client.cache_of(RELU).await.unwrap_err().reason,
        "UNKNOWN_CACHE"
    );
}
