//! The examples that a README shows run.

use crate::harness::{corpus, real};

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_clients_example_runs() {
    let server = real::server().await;
    let folder = corpus::folder(server.path(), 4, 120);
    let corpus = latentd_client::Corpus::new([folder.display().to_string()]);
    let request = latentd_client::BuildCacheRequest::new(real::SAE, corpus).context_length(64);
    let job = server.client.build_cache(request).await.unwrap();
    server.client.wait_job(&job.name).await.unwrap();
    readme_example::run(&server.address(), real::SAE)
        .await
        .unwrap();
}

#[path = "../../client/rust/examples/readme.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod readme_example;
