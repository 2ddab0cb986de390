//! What the examples of a score show, read again from the cache of its job.

use std::{collections::HashMap, sync::Arc};

use latentd_cache::Cache;
use latentd_domain::{
    JobId, SaeName,
    autointerp::{AutointerpSpec, ExampleId},
};
use latentd_engine::Tokenizer;
use latentd_proto::v1 as pb;

use super::export::{Window, Windows};
use crate::{app::App, caches, grpc::blocking};

/// The cache that the examples of a job are from, with the tokenizer that it was made with.
#[derive(Clone)]
pub(super) struct Origin {
    cache: Arc<Cache>,
    tokenizer: Arc<Tokenizer>,
    sae: SaeName,
}

/// Where the examples of a job are from; `None` if that is no longer there.
pub(super) async fn origin(app: &App, job: &JobId) -> Option<Origin> {
    let job = app.store.jobs().get(job).await.ok()?;
    let spec: AutointerpSpec = serde_json::from_value(job.spec).ok()?;
    let standing = app.store.caches().standing(&spec.cache).await.ok()?;
    if standing.create_time > job.create_time {
        // Another cache has the name by now.
        return None;
    }
    let cache = app.caches.get(&app.store, &spec.cache).await.ok()?;
    let tokenizer = caches::tokenizer(app, &cache)?;
    Some(Origin {
        cache,
        tokenizer,
        sae: spec.sae,
    })
}

impl Origin {
    /// What the examples show; those that the cache does not have are left out.
    pub(super) async fn windows(&self, latent: u32, examples: &[pb::ScoreExample]) -> Windows {
        let ids: Vec<ExampleId> = examples
            .iter()
            .filter_map(|example| example.example.parse().ok())
            .collect();
        let this = self.clone();
        let read = blocking(move || {
            let windows = this.cache.windows(&this.sae, latent, &ids)?;
            let shown = ids.iter().zip(windows).map(|(id, window)| {
                let tokens = this.tokenizer.token_texts(&window.ids);
                let activations = window.activations;
                let window = Window {
                    tokens,
                    activations,
                };
                (id.to_string(), window)
            });
            Ok(shown.collect())
        });
        match read.await {
            Ok(windows) => windows,
            Err(error) => {
                tracing::debug!(%error, latent, "examples of a score cannot be read again");
                HashMap::new()
            }
        }
    }
}
