//! The long phase of a build: one work item for each shard. Its rows go through the engine in batches on the bulk lane, two
//! under way at once so that the host's work hides behind the device's; what fires is gathered, sorted and written on a
//! blocking thread, while the device goes on with the next shard.

use std::{ops::Range, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use latentd_cache::{ShardBuilder, ShardSpec, TokenTable, batches, shard_path};
use latentd_domain::{DeviceKind, HasReason, Reason, Scale, Selection, SparseActivations};
use latentd_engine::{DeviceInfo, EncodeWork, Lane, Sequence};
use latentd_store::{
    caches::CacheShard,
    work_items::{Scope, WorkItem, WorkResult},
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Build, masked_ids, room::Room};
use crate::{
    grpc::error::Error,
    jobs::{Halt, Stop, runner::persist},
    residency::Residents,
};

/// Batches that wait for the device or are computed at once.
const IN_FLIGHT: usize = 2;
/// Batches that may wait to be gathered.
const GATHERED: usize = 2;
/// Tokens of a batch on a CPU, which computes no faster with more.
const CPU_BATCH: usize = 1024;
/// Length of a lease on a shard.
const LEASE: std::time::Duration = std::time::Duration::from_secs(30);
/// Pause while another process has the last shards, or the queue of the device is full.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Encodes every shard that is not done.
pub(super) async fn run(
    build: &Build,
    residents: &Arc<Residents>,
    table: Arc<TokenTable>,
    shard_tokens: u64,
) -> Result<(), Halt> {
    let plan = latentd_cache::shards(&table, shard_tokens);
    let encoder = Encoder {
        build,
        residents: Arc::clone(residents),
        masked: masked_ids(&build.spec, &residents.model.tokenizer),
        table,
    };
    let items = build.app.store.work_items();
    let job = &build.lease.job.id;
    persist(&build.app, || items.insert_many(job, plan.len() as u32)).await?;
    let done = persist(&build.app, || items.done(job)).await?;
    let tokens = |ord: &u32| {
        plan.get(*ord as usize)
            .map_or(0, |rows| encoder.tokens(rows))
    };
    build.tracker.begin(
        "encoding",
        done.iter().map(tokens).sum(),
        encoder.table.tokens(),
    );
    let mut writing: Option<Writing> = None;
    loop {
        build.stopper.check()?;
        let claimed = persist(&build.app, || {
            items.claim(Scope::Lease(&build.lease), build.owner, LEASE, 1)
        })
        .await?;
        let Some(item) = claimed.into_iter().next() else {
            if let Some(last) = writing.take() {
                last.commit(build).await?;
                continue;
            }
            if all_done(build, plan.len()).await? {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let rows = plan.get(item.ord as usize).cloned();
        let rows = rows.ok_or_else(|| Error::internal(format!("no shard {}", item.ord)))?;
        let gathered = encoder.encode(item, rows).await?;
        // One shard is written while the next is encoded: memory holds two, whatever the length of the corpus.
        if let Some(previous) = writing.replace(gathered) {
            previous.commit(build).await?;
        }
    }
}

/// Whether every item is done; an item that was given up fails the job.
async fn all_done(build: &Build, planned: usize) -> Result<bool, Halt> {
    let items = build.app.store.work_items();
    let job = &build.lease.job.id;
    let counts = persist(&build.app, || items.counts(job)).await?;
    if counts.dead > 0 {
        let first = persist(&build.app, || items.first_error(job)).await?;
        let (shard, error) = first.unwrap_or_default();
        return Err(Error::internal(format!("shard {shard} was given up: {error}")).into());
    }
    Ok(counts.done as usize == planned)
}

/// Tokens of a batch. A batch that computes cannot be interrupted, so on a CPU it is no larger than it has to be.
fn batch_tokens(device: &DeviceInfo, configured: usize) -> u64 {
    let tokens = match (configured, device.kind) {
        (0, DeviceKind::Cpu) => CPU_BATCH,
        (0, DeviceKind::Gpu) => device.batch_tokens,
        (tokens, _) => tokens,
    };
    tokens.min(device.batch_tokens) as u64
}

/// Turns rows into activations.
struct Encoder<'a> {
    build: &'a Build,
    residents: Arc<Residents>,
    table: Arc<TokenTable>,
    masked: Vec<u32>,
}

/// What the gathering thread receives.
enum Piece {
    /// Rows of the cache, and their activations by SAE.
    Batch(Vec<u64>, Vec<SparseActivations>),
    /// All rows have come: write the files. Without it the shard is given up.
    Write,
}

/// A shard that is being written.
struct Writing {
    item: WorkItem,
    written: JoinHandle<Result<Vec<CacheShard>, Halt>>,
}

impl Writing {
    /// Waits for the files and records them; from then on the shard is not built again.
    async fn commit(self, build: &Build) -> Result<(), Halt> {
        let Self { item, written } = self;
        let shards = match written.await {
            Ok(shards) => shards?,
            Err(panic) => {
                return Err(Error::internal(format!("writing a shard failed: {panic}")).into());
            }
        };
        let items = build.app.store.work_items();
        persist(&build.app, || {
            items.complete(&item, WorkResult::CacheShards(&shards))
        })
        .await
    }
}

impl Encoder<'_> {
    fn tokens(&self, rows: &Range<u64>) -> u64 {
        rows.clone()
            .map(|row| u64::from(self.table.row_len(row)))
            .sum()
    }

    /// Encodes the rows of one shard and hands them to the thread that writes them.
    async fn encode(&self, item: WorkItem, rows: Range<u64>) -> Result<Writing, Halt> {
        let (pieces, received) = mpsc::channel(GATHERED);
        let gather = self.gatherer(item.ord, rows.clone());
        let span = tracing::Span::current();
        let written = tokio::task::spawn_blocking(move || span.in_scope(|| gather.run(received)));
        let app = &self.build.app;
        let room = Room::of(app.config.jobs.shard_bytes);
        let batches = stream::iter(batches(
            &self.table,
            rows,
            batch_tokens(&app.engine.device(), app.config.jobs.batch_tokens),
        ));
        let mut encoded = batches
            .map(|rows| self.batch(rows, &room))
            .buffered(IN_FLIGHT);
        while let Some(batch) = encoded.try_next().await? {
            if pieces.send(batch).await.is_err() {
                break;
            }
        }
        // If the thread has ended, it says why when it is joined.
        let _ = pieces.send(Piece::Write).await;
        Ok(Writing { item, written })
    }

    /// Encodes one batch; waits while the device's queue is full.
    async fn batch(&self, rows: Vec<u64>, room: &Room) -> Result<Piece, Halt> {
        loop {
            self.build.stopper.check()?;
            let encoded = tokio::select! {
                stop = self.build.stopper.stopped() => return Err(Halt::Stopped(stop)),
                encoded = self.build.app.engine.encode(self.work(&rows, room)) => encoded,
            };
            match encoded {
                Ok(output) => {
                    room.take(&output.activations)?;
                    self.build.tracker.add(output.cost.tokens as u64);
                    return Ok(Piece::Batch(rows, output.activations));
                }
                Err(latentd_engine::Error::QueueFull { .. }) => tokio::time::sleep(PAUSE).await,
                Err(latentd_engine::Error::ShuttingDown) => {
                    return Err(Halt::Stopped(Stop::Draining));
                }
                Err(error) if error.reason() == Reason::BatchTooLarge => {
                    return Err(room.used_up().into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn work(&self, rows: &[u64], room: &Room) -> EncodeWork {
        let sequence = |&row: &u64| {
            let ids = self.table.row(row).to_vec();
            let mask = ids
                .iter()
                .map(|id| self.masked.binary_search(id).is_err())
                .collect();
            Sequence { ids, mask }
        };
        EncodeWork {
            model: self.residents.model.id.clone(),
            sequences: rows.iter().map(sequence).collect(),
            saes: self.build.spec.saes.clone(),
            selection: Selection::AllFiring,
            scale: Scale::Raw,
            max_entries: room.left(),
            lane: Lane::Bulk,
            deadline: None,
        }
    }

    fn gatherer(&self, ord: u32, rows: Range<u64>) -> Gatherer {
        let spec = &self.build.spec;
        let builder = |sae: &Arc<latentd_engine::SaeEntry>| {
            ShardBuilder::new(ShardSpec {
                d_sae: sae.info.d_sae as u32,
                dtype: spec.activation_dtype,
                context_length: spec.context_length,
                rows: rows.clone(),
            })
        };
        Gatherer {
            build: self.build.clone(),
            table: Arc::clone(&self.table),
            builders: self.residents.saes.iter().map(builder).collect(),
            ord,
        }
    }
}

/// Gathers the activations of one shard and writes its files. Lives on a blocking thread.
struct Gatherer {
    build: Build,
    table: Arc<TokenTable>,
    builders: Vec<ShardBuilder>,
    ord: u32,
}

impl Gatherer {
    fn run(mut self, mut pieces: mpsc::Receiver<Piece>) -> Result<Vec<CacheShard>, Halt> {
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Batch(rows, activations)) => self.add(&rows, &activations)?,
                Some(Piece::Write) => return self.write(),
                None => {
                    self.build.stopper.check()?;
                    return Err(Error::internal("a shard was given up half-way").into());
                }
            }
        }
    }

    fn add(&mut self, rows: &[u64], activations: &[SparseActivations]) -> Result<(), Halt> {
        for (builder, activations) in self.builders.iter_mut().zip(activations) {
            let mut start = 0;
            for &row in rows {
                let end = start + self.table.row_len(row) as usize;
                builder.add_row(row, activations, start..end)?;
                start = end;
            }
        }
        Ok(())
    }

    fn write(self) -> Result<Vec<CacheShard>, Halt> {
        let Self {
            build,
            builders,
            ord,
            table,
        } = self;
        // What was encoded are the rows, not the zeros behind the end of a file that was cut short.
        table.intact()?;
        let dir = build.dir();
        let write = |(builder, sae): (ShardBuilder, &latentd_domain::SaeName)| {
            let summary = builder.write(&shard_path(&dir, sae, ord as usize))?;
            Ok(CacheShard {
                cache: build.spec.cache.clone(),
                sae: sae.clone(),
                ord,
                digest: summary.digest,
                entries: summary.entries,
                size_bytes: summary.bytes,
            })
        };
        builders
            .into_iter()
            .zip(&build.spec.saes)
            .map(write)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use latentd_domain::Dtype;

    use super::*;

    #[test]
    fn batches_are_small_on_a_cpu_alone() {
        let device = |kind, threads| DeviceInfo {
            name: "any".to_owned(),
            kind,
            dtype: Dtype::F32,
            threads,
            batch_tokens: 4096,
            max_queued: 1,
        };
        let (cpu, gpu) = (device(DeviceKind::Cpu, 16), device(DeviceKind::Gpu, 0));
        assert_eq!(batch_tokens(&cpu, 0), 1024);
        assert_eq!(batch_tokens(&gpu, 0), 4096);
        for device in [cpu, gpu] {
            assert_eq!(batch_tokens(&device, 2000), 2000);
            assert_eq!(batch_tokens(&device, 9000), 4096);
        }
    }
}
