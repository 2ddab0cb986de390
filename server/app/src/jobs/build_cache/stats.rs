//! The statistics of a complete cache, as rows of the database, for whoever asks in SQL.

use std::{path::PathBuf, sync::Arc};

use latentd_cache::{Cache, Manifest};

use super::Build;
use crate::{
    grpc::blocking,
    jobs::{Halt, runner::persist},
};

/// Latents that are read and stored at once.
const CHUNK: usize = 50_000;

/// Stores them; those of an earlier attempt stay.
pub(super) async fn store(build: &Build, dir: PathBuf, manifest: &Manifest) -> Result<(), Halt> {
    let cache = Arc::new(blocking(move || Ok(Cache::open(&dir)?)).await?);
    let caches = build.app.store.caches();
    for record in &manifest.saes {
        for first in (0..record.d_sae).step_by(CHUNK) {
            build.stopper.check()?;
            let last = record.d_sae.min(first.saturating_add(CHUNK as u32));
            let (cache, sae) = (Arc::clone(&cache), record.name.clone());
            let read = move || {
                (first..last)
                    .map(|latent| Ok(cache.stats(&sae, latent)?))
                    .collect()
            };
            let stats: Vec<_> = blocking(read).await?;
            persist(&build.app, || {
                caches.put_stats(
                    (&build.spec.cache, &build.lease.job.id),
                    &record.name,
                    &stats,
                )
            })
            .await?;
        }
    }
    Ok(())
}
