//! GetWindows: what an example showed is read again by its id.

use futures::TryStreamExt;
use latentd_client::{ExamplesRequest, LatentExamples, WindowsRequest};

use crate::harness::{
    corpus,
    server::{SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_what_the_example_was() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 20, 120);
    server.build("windows", &folder).await;
    let request = ExamplesRequest::new(SAE, [9, 3]).count(3).window(8);
    let examples = server.client.examples(request).await.unwrap();
    let latents: Vec<LatentExamples> = examples.try_collect().await.unwrap();
    for latent in &latents {
        let id = |row, start, len| format!("{row}:{start}+{len}");
        let ids: Vec<String> = latent
            .examples
            .iter()
            .map(|example| id(example.row, example.start, example.ids.len()))
            .collect();
        assert_eq!(ids.len(), 3, "the latent fires often enough");
        let request = WindowsRequest::new("windows", ids.clone());
        let plain = server.client.windows(request.clone()).await.unwrap();
        let marked = request.latent(SAE, latent.latent);
        let marked = server.client.windows(marked).await.unwrap();
        for (index, example) in latent.examples.iter().enumerate() {
            let (plain, marked) = (&plain[index], &marked[index]);
            assert_eq!((&plain.id, &plain.ids), (&ids[index], &example.ids));
            assert_eq!(
                (plain.document, &plain.tokens),
                (example.document, &example.tokens)
            );
            assert!(plain.activations.is_empty());
            assert_eq!(marked.activations, example.activations);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_are_not_there_are_refused() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 3, 40);
    server.build("windows", &folder).await;
    for (cache, id, reason) in [
        ("windows", "99999:0+4", "INVALID_REQUEST"),
        ("windows", "0:0+0", "INVALID_REQUEST"),
        ("windows", "0:0", "INVALID_REQUEST"),
        ("absent", "0:0+4", "UNKNOWN_CACHE"),
    ] {
        let request = WindowsRequest::new(cache, [id]);
        let error = server.client.windows(request).await.unwrap_err();
        assert_eq!(error.reason, reason, "{cache} {id}");
    }
    let none: [&str; 0] = [];
    let error = server
        .client
        .windows(WindowsRequest::new("windows", none))
        .await;
    assert_eq!(error.unwrap_err().reason, "EMPTY_BATCH");
}
