//! The examples that a README shows run.

use futures::TryStreamExt;
use latentd_client::{ExplanationFilter, LatentStats, LatentStatsRequest};

use crate::harness::{corpus, real};

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_clients_examples_run() {
    let server = real::server().await;
    let folder = corpus::folder(server.path(), 4, 120);
    let corpus = latentd_client::Corpus::new([folder.display().to_string()]);
    let request = latentd_client::BuildCacheRequest::new(real::SAE, corpus).context_length(64);
    let job = server.client.build_cache(request).await.unwrap();
    let job = server.client.wait_job(&job.name).await.unwrap();
    readme_example::run(&server.address(), real::SAE)
        .await
        .unwrap();

    let request = LatentStatsRequest::new(&job.result).sae(real::SAE);
    let stats: Vec<LatentStats> = server
        .client
        .latent_stats(request)
        .try_collect()
        .await
        .unwrap();
    let latent = stats
        .iter()
        .find(|stats| (20..100).contains(&stats.count))
        .unwrap()
        .latent;
    explain_example::run(&server.address(), real::SAE, [latent])
        .await
        .unwrap();
    let filter = ExplanationFilter::new().latents([latent]);
    let explained: Vec<_> = server
        .client
        .explanations(filter)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(explained.len(), 1);
    assert_eq!(explained[0].scores.len(), 2);
}

#[path = "../../client/rust/examples/readme.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod readme_example;

#[path = "../../client/rust/examples/explain.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod explain_example;
