//! What Encode costs over gRPC.

use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use latentd_client::{Client, EncodeRequest, Encoded, Prompt};
use serde_json::json;

use super::{Lines, median, synthetic_ids};

#[derive(Args, Debug)]
pub(super) struct EncodeArgs {
    /// The SAE: MODEL/SAE
    #[arg(long)]
    sae: String,
    /// Lengths of the single prompts, in tokens
    #[arg(long, value_delimiter = ',', default_values_t = [8, 32, 128])]
    lengths: Vec<usize>,
    /// How often each single prompt is measured
    #[arg(long, default_value_t = 25)]
    rounds: usize,
    /// Number of clients that call at the same time
    #[arg(long, default_value_t = 64)]
    callers: usize,
    /// Number of prompts, of 8 to 16 tokens, that the clients share
    #[arg(long, default_value_t = 512)]
    prompts: usize,
}

/// Lone prompts, batched prompts, then many callers against one caller.
pub(super) async fn measure(args: EncodeArgs, address: &str, lines: &Lines) -> anyhow::Result<()> {
    let client = Client::connect(address).await?;
    let model = args
        .sae
        .split('/')
        .next()
        .context("an SAE is named MODEL/SAE")?;
    let vocab = client.model(model).await?.vocab;
    for &length in &args.lengths {
        let ids = synthetic_ids(length as u64, length, vocab);
        let single = timed(&client, &args.sae, vec![ids.clone()], args.rounds).await?;
        let batched = timed(&client, &args.sae, vec![ids; 32], 3).await? / 32.0;
        lines.emit(json!({ "tokens": length, "single_ms": single, "batched_ms": batched }))?;
    }
    callers(&args, &client, vocab, lines).await
}

/// Median milliseconds of a call, after one that warms up.
async fn timed(
    client: &Client,
    sae: &str,
    prompts: Vec<Vec<u32>>,
    rounds: usize,
) -> anyhow::Result<f64> {
    let mut took = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let start = Instant::now();
        encode(client, sae, prompts.clone()).await?;
        if round > 0 {
            took.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(median(took))
}

async fn encode(
    client: &Client,
    sae: &str,
    prompts: Vec<Vec<u32>>,
) -> latentd_client::Result<Encoded> {
    client
        .encode(EncodeRequest::new(
            prompts.into_iter().map(Prompt::from),
            sae,
        ))
        .await
}

/// The same prompts one by one and from many callers: the answers must be equal, bit for bit.
async fn callers(
    args: &EncodeArgs,
    client: &Client,
    vocab: u32,
    lines: &Lines,
) -> anyhow::Result<()> {
    let prompts: Vec<Vec<u32>> = (0..args.prompts)
        .map(|i| synthetic_ids(i as u64 + 1000, 8 + i % 9, vocab))
        .collect();
    let answer = |ids: Vec<u32>| async move {
        let encoded = encode(client, &args.sae, vec![ids]).await?;
        anyhow::Ok((encoded.latents().to_vec(), encoded.activations().to_vec()))
    };
    let start = Instant::now();
    let alone: Vec<_> = stream::iter(prompts.clone())
        .then(answer)
        .try_collect()
        .await?;
    let alone_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let together: Vec<_> = stream::iter(prompts)
        .map(answer)
        .buffered(args.callers)
        .try_collect()
        .await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(
        alone == together,
        "the answers of {} callers differ from those of one",
        args.callers
    );
    let rate = |seconds: f64| args.prompts as f64 / seconds;
    lines.emit(json!({
        "what": format!("{} callers, prompts of 8 to 16 tokens", args.callers),
        "prompts_per_s": rate(seconds),
        "one_caller_prompts_per_s": rate(alone_seconds),
        "speedup": alone_seconds / seconds,
    }))
}
