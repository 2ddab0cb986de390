//! Builds a cache: the corpus becomes rows of tokens, the rows become shards, and the manifest ends it.
//!
//! What is committed stays: the table of tokens once its file is in place, each shard once its work item is done. A build that
//! was killed goes on from there and gives the same bytes, because the plan of shards and batches is a function of the table.

mod attempt;
mod origin;
mod room;
mod shards;
mod stats;
mod tokenize;

use std::{path::PathBuf, sync::Arc, time::Duration};

use latentd_cache::{
    BuildRecord, BuiltSae, Manifest, ModelRecord, SHARD_TOKENS, Settings, ShardSummary, TokenTable,
    shard_tokens,
};
use latentd_domain::{BuildCacheSpec, Reason, SaeName, SpecialTokens};
use latentd_engine::{SaeEntry, Tokenizer};
use latentd_store::{
    caches::{CacheTotals, CachedSae},
    leases::{JobLease, Outcome, Owner},
};

pub(crate) use attempt::{remove_files, remove_others};
pub(crate) use origin::forget as forget_origin;

use origin::{Origin, Settled};

use super::{Halt, Stopper, progress::Tracker, runner::persist};
use crate::{
    app::Shared,
    grpc::blocking,
    residency::{self, Residents},
};

/// Pause of a build that cannot open files.
const DESCRIPTORS_PAUSE: Duration = Duration::from_secs(1);

/// One attempt at a build.
#[derive(Clone)]
pub(super) struct Build {
    pub(super) app: Shared,
    pub(super) owner: Owner,
    pub(super) lease: JobLease,
    pub(super) spec: Arc<BuildCacheSpec>,
    pub(super) stopper: Stopper,
    pub(super) tracker: Tracker,
}

impl Build {
    /// Builds what is not built yet. While the system opens no more files it waits, and then goes on from what is committed.
    pub(super) async fn run(self) -> Result<Outcome, Halt> {
        let mut said = false;
        loop {
            match self.attempt().await {
                Err(Halt::Failed(error)) if error.reason() == Reason::TooManyOpenFiles => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "the build waits until files can be opened");
                        self.tracker.warn(
                            "the build waited: the server has too many files and connections open (ulimit -n)"
                                .to_owned(),
                        );
                    }
                    tokio::select! {
                        stop = self.stopper.stopped() => return Err(Halt::Stopped(stop)),
                        () = tokio::time::sleep(DESCRIPTORS_PAUSE) => {}
                    }
                }
                other => return other,
            }
        }
    }

    async fn attempt(&self) -> Result<Outcome, Halt> {
        // What an earlier attempt warned of holds.
        for warning in &self.lease.job.progress.warnings {
            self.tracker.warn(warning.clone());
        }
        residency::ensure(&self.app, &self.spec.saes).await?;
        let residents = Arc::new(residency::residents(&self.app, &self.spec.saes)?);
        let settled = self.settle(&residents).await?;
        let dir = self.dir();
        let table = tokenize::run(self, &residents, dir.clone()).await?;
        let shard_tokens = if settled.finer_shards {
            shard_tokens(table.tokens())
        } else {
            SHARD_TOKENS
        };
        shards::run(self, &residents, Arc::clone(&table), shard_tokens).await?;
        let manifest = self
            .finish(&residents, dir.clone(), &table, shard_tokens)
            .await?;
        stats::store(self, dir, &manifest).await?;
        Ok(Outcome::CacheReady {
            cache: self.spec.cache.clone(),
            totals: totals(&self.spec, self.place(), manifest),
        })
    }

    /// Name of the folder of this attempt, below the folder of the cache.
    fn place(&self) -> String {
        attempt::place(&self.lease.job.id, self.lease.epoch())
    }

    /// The folder of this attempt.
    fn dir(&self) -> PathBuf {
        self.app.caches.root(&self.spec.cache).join(self.place())
    }

    /// Makes the folder of this attempt, with what earlier ones finished.
    async fn settle(&self, residents: &Residents) -> Result<Settled, Halt> {
        let job = self.lease.job.id.clone();
        let items = self.app.store.work_items();
        let done = persist(&self.app, || items.done(&job)).await?.len();
        let origin = Origin::new(job.clone(), residents);
        let (root, epoch) = (self.app.caches.root(&self.spec.cache), self.lease.epoch());
        let settle = move || {
            let settled = origin.settle(&root, done)?;
            let taken = attempt::take_over(&root, &job, epoch, settled.in_root);
            taken.map_err(|error| origin::storage(&error))?;
            Ok(settled)
        };
        Ok(blocking(settle).await?)
    }

    async fn finish(
        &self,
        residents: &Arc<Residents>,
        dir: PathBuf,
        table: &TokenTable,
        shard_tokens: u64,
    ) -> Result<Manifest, Halt> {
        self.tracker
            .begin("finishing", table.tokens(), table.tokens());
        let done = persist(&self.app, || {
            self.app.store.caches().shards(&self.spec.cache)
        })
        .await?;
        let built = |sae: &Arc<SaeEntry>| {
            let mut shards: Vec<_> = done.iter().filter(|shard| shard.sae == sae.name).collect();
            shards.sort_by_key(|shard| shard.ord);
            let summary = |shard: &latentd_store::caches::CacheShard| ShardSummary {
                digest: shard.digest.clone(),
                entries: shard.entries,
                bytes: shard.size_bytes,
            };
            BuiltSae {
                name: sae.name.clone(),
                hook_point: sae.info.hook_point,
                d_sae: sae.info.d_sae as u32,
                digest: sae.info.digest.clone(),
                shards: shards.into_iter().map(summary).collect(),
            }
        };
        let record = BuildRecord {
            model: ModelRecord {
                name: residents.model.id.clone(),
                digest: residents.model.info.digest.clone(),
                tokenizer_digest: residents.model.info.tokenizer_digest.clone(),
            },
            settings: settings(&self.spec, &residents.model.tokenizer, shard_tokens),
            saes: residents.saes.iter().map(built).collect(),
        };
        let manifest = blocking(move || Ok(latentd_cache::finish(&dir, record)?)).await?;
        for sae in &manifest.saes {
            for (count, what) in [
                (sae.above_range, "above 65504, the largest number of f16"),
                (sae.below_range, "below 2^-25, which f16 rounds to 0"),
            ] {
                if count > 0 {
                    self.tracker.warn(format!(
                        "{}: {count} activations are {what}, and are stored as the nearest number that fires; \
                         activation_dtype f32 keeps them",
                        sae.name
                    ));
                }
            }
        }
        Ok(manifest)
    }
}

fn settings(spec: &BuildCacheSpec, tokenizer: &Tokenizer, shard_tokens: u64) -> Settings {
    Settings {
        context_length: spec.context_length,
        max_tokens: spec.max_tokens,
        seed: spec.seed,
        bos: bos(spec, tokenizer),
        special_tokens: spec.special_tokens,
        masked_ids: masked_ids(spec, tokenizer),
        activation_dtype: spec.activation_dtype,
        shard_tokens,
    }
}

/// The token in front of each row.
fn bos(spec: &BuildCacheSpec, tokenizer: &Tokenizer) -> Option<u32> {
    tokenizer.bos().filter(|_| spec.prepend_bos)
}

/// Token ids on which nothing fires, ascending.
fn masked_ids(spec: &BuildCacheSpec, tokenizer: &Tokenizer) -> Vec<u32> {
    match spec.special_tokens {
        SpecialTokens::Keep => Vec::new(),
        SpecialTokens::Mask => (0..tokenizer.vocab() as u32)
            .filter(|&id| tokenizer.is_special(id))
            .collect(),
    }
}

/// What the database keeps of a manifest whose files lie in `place`; SAEs in the order of the request.
fn totals(spec: &BuildCacheSpec, place: String, manifest: Manifest) -> CacheTotals {
    let records = |name: &SaeName| manifest.saes.iter().find(|record| record.name == *name);
    let cached = |record: &latentd_cache::SaeRecord| CachedSae {
        sae: record.name.clone(),
        hook_point: record.hook_point,
        d_sae: record.d_sae,
        digest: record.digest.clone(),
        activations: record.activations,
        firing_latents: record.firing_latents,
        above_range: record.above_range,
        below_range: record.below_range,
    };
    CacheTotals {
        model_digest: manifest.model.digest.clone(),
        manifest_digest: manifest.digest.clone(),
        tokens: manifest.tokens.tokens,
        rows: manifest.tokens.rows,
        documents: manifest.tokens.documents,
        size_bytes: manifest.bytes(),
        place,
        saes: spec.saes.iter().filter_map(records).map(cached).collect(),
    }
}
