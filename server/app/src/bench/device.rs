//! The engine alone, in this process: no server, no database.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use latentd_domain::{Dtype, SaeName, Scale, Selection};
use latentd_engine::{EncodeWork, Engine, Handle, Lane, Options, SaeOptions, Sequence};
use serde_json::json;

use super::{Lines, median, synthetic_ids};

#[derive(Args, Debug)]
pub(super) struct DeviceArgs {
    /// Hugging Face folder or GGUF file
    #[arg(long)]
    model: PathBuf,
    /// SAELens folder
    #[arg(long)]
    sae: PathBuf,
    /// Number format on the device: f32 or bf16
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    dtype: String,
    /// Tokens of one forward pass
    #[arg(long, default_value_t = 8192)]
    batch_tokens: usize,
    /// Number of rows of 256 tokens that are encoded in bulk
    #[arg(long, default_value_t = 2048)]
    rows: usize,
    /// How often each single prompt is measured
    #[arg(long, default_value_t = 25)]
    rounds: usize,
}

struct Bench {
    handle: Handle,
    sae: SaeName,
    vocab: u32,
}

impl Bench {
    /// Seconds from asking to the sparse rows on the host.
    async fn encode(&self, rows: Vec<Vec<u32>>, lane: Lane) -> anyhow::Result<f64> {
        let sequence = |ids: Vec<u32>| Sequence {
            mask: vec![true; ids.len()],
            ids,
        };
        let work = EncodeWork {
            model: self.sae.model().clone(),
            sequences: rows.into_iter().map(sequence).collect(),
            saes: vec![self.sae.clone()],
            selection: Selection::AllFiring,
            scale: Scale::Raw,
            max_entries: usize::MAX,
            lane,
            deadline: None,
        };
        let start = Instant::now();
        self.handle.encode(work).await?;
        Ok(start.elapsed().as_secs_f64())
    }

    async fn timed(&self, rows: &[Vec<u32>], rounds: usize) -> anyhow::Result<f64> {
        self.encode(rows.to_vec(), Lane::Interactive).await?;
        let mut took = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            took.push(self.encode(rows.to_vec(), Lane::Interactive).await? * 1e3);
        }
        Ok(median(took))
    }
}

/// Lone and batched prompts, many callers, then rows on the bulk lane as a cache build sends them.
pub(super) async fn measure(args: DeviceArgs, lines: &Lines) -> anyhow::Result<()> {
    let dtype = if args.dtype == "bf16" {
        Dtype::Bf16
    } else {
        Dtype::F32
    };
    let options = Options {
        batch_tokens: args.batch_tokens,
        dtype,
        ..Options::default()
    };
    let (_engine, handle) = Engine::start(options)?;
    let sae: SaeName = "bench/sae".parse()?;
    let model = handle
        .load_model(sae.model().clone(), args.model, None)
        .await?;
    handle
        .load_sae(sae.clone(), args.sae, SaeOptions::default())
        .await?;
    let bench = Bench {
        handle,
        sae,
        vocab: model.info.vocab as u32,
    };
    for length in [8, 32, 128] {
        let ids = synthetic_ids(length as u64, length, bench.vocab);
        let single = bench.timed(std::slice::from_ref(&ids), args.rounds).await?;
        let batched = bench.timed(&vec![ids; 32], 3).await? / 32.0;
        lines.emit(json!({ "tokens": length, "single_ms": single, "batched_ms": batched }))?;
    }
    bulk(
        &bench,
        &args_rows(args.rows, bench.vocab),
        args.batch_tokens,
        lines,
    )
    .await
}

fn args_rows(rows: usize, vocab: u32) -> Vec<Vec<u32>> {
    (0..rows)
        .map(|row| synthetic_ids(row as u64, 256, vocab))
        .collect()
}

async fn bulk(
    bench: &Bench,
    rows: &[Vec<u32>],
    batch_tokens: usize,
    lines: &Lines,
) -> anyhow::Result<()> {
    let per_batch = (batch_tokens / 256).max(1);
    bench
        .encode(rows.iter().take(per_batch).cloned().collect(), Lane::Bulk)
        .await?;
    let start = Instant::now();
    let batches: Vec<Vec<Vec<u32>>> = rows.chunks(per_batch).map(<[Vec<u32>]>::to_vec).collect();
    // Two in flight, as a cache build keeps them: the host prepares one while the device computes the other.
    stream::iter(batches)
        .map(|batch| bench.encode(batch, Lane::Bulk))
        .buffered(2)
        .try_collect::<Vec<f64>>()
        .await?;
    let seconds = start.elapsed().as_secs_f64();
    let tokens = rows.len() * 256;
    lines.emit(
        json!({ "tokens": tokens, "seconds": seconds, "tokens_per_s": tokens as f64 / seconds }),
    )
}
