//! What a cache build costs, files and commits included.

use std::time::SystemTime;

use anyhow::{Context, ensure};
use clap::Args;
use futures::StreamExt;
use latentd_client::{BuildCacheRequest, Client, Corpus, JobState};
use serde_json::json;

use super::Lines;

#[derive(Args, Debug)]
pub(super) struct CacheArgs {
    /// The SAE: MODEL/SAE
    #[arg(long)]
    sae: String,
    /// File or folder of text on the server's disk
    #[arg(long)]
    corpus: String,
    /// Most tokens to encode
    #[arg(long, default_value_t = 16_384)]
    tokens: u64,
    /// Longest row, in tokens
    #[arg(long, default_value_t = 256)]
    context_length: u32,
    /// Keep the cache under this id instead of deleting it
    #[arg(long)]
    keep: Option<String>,
}

/// Builds a cache and deletes it. `tokens_per_s` counts the encoding phase, which is what the peers' figures are of.
pub(super) async fn measure(args: CacheArgs, address: &str, lines: &Lines) -> anyhow::Result<()> {
    let client = Client::connect(address).await?;
    let mut request = BuildCacheRequest::new(&args.sae, Corpus::new([&args.corpus]))
        .context_length(args.context_length)
        .max_tokens(args.tokens);
    if let Some(id) = &args.keep {
        request = request.cache_id(id);
    }
    let job = client.build_cache(request).await?;
    let mut events = client.watch_job(&job.name, 0);
    let (mut began, mut encoding, mut ended) = (None, None, None);
    let mut last = job;
    while let Some(event) = events.next().await {
        let event = event?;
        let running = event.job.state == JobState::Running;
        began = began.or(event.time.filter(|_| running));
        encoding = encoding.or(event
            .time
            .filter(|_| event.job.progress.phase == "encoding"));
        ended = event.time;
        last = event.job;
    }
    ensure!(
        last.state == JobState::Succeeded,
        "{}: {:?}",
        last.name,
        last.error
    );
    let cache = client.cache(&last.result).await?;
    let seconds = between(encoding, ended)?;
    lines.emit(json!({
        "tokens": cache.tokens,
        "seconds": seconds,
        "tokens_per_s": cache.tokens as f64 / seconds,
        "job_seconds": between(began, ended)?,
        "activations": cache.saes.iter().map(|sae| sae.activations).sum::<u64>(),
    }))?;
    if args.keep.is_none() {
        client.delete_cache(&cache.name).await?;
    }
    Ok(())
}

fn between(start: Option<SystemTime>, end: Option<SystemTime>) -> anyhow::Result<f64> {
    let (start, end) = start
        .zip(end)
        .context("the job ended without a beginning")?;
    Ok(end.duration_since(start)?.as_secs_f64())
}
