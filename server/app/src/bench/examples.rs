//! What StreamExamples costs.

use std::time::Instant;

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use latentd_client::{Client, ExamplesRequest};
use serde_json::json;

use super::{Lines, median, synthetic_ids};

#[derive(Args, Debug)]
pub(super) struct ExamplesArgs {
    /// The SAE: MODEL/SAE
    #[arg(long)]
    sae: String,
    /// The cache [default: the newest one that holds the SAE]
    #[arg(long, default_value = "")]
    cache: String,
    /// Number of examples of each latent
    #[arg(long, default_value_t = 20)]
    count: u32,
    /// Tokens of an example
    #[arg(long, default_value_t = 32)]
    window: u32,
    /// Number of calls whose first message is timed
    #[arg(long, default_value_t = 50)]
    rounds: usize,
}

/// First messages of lone calls, then every latent of the SAE in one call.
pub(super) async fn measure(
    args: ExamplesArgs,
    address: &str,
    lines: &Lines,
) -> anyhow::Result<()> {
    let client = Client::connect(address).await?;
    let d_sae = client.sae(&args.sae).await?.d_sae;
    let complete = |request: ExamplesRequest| {
        request
            .cache(&args.cache)
            .count(args.count)
            .window(args.window)
    };
    let mut first = Vec::with_capacity(args.rounds);
    for latent in synthetic_ids(7, args.rounds, d_sae) {
        let start = Instant::now();
        let mut stream = client
            .examples(complete(ExamplesRequest::new(&args.sae, [latent])))
            .await?;
        stream.next().await.context("a stream without messages")??;
        first.push(start.elapsed().as_secs_f64() * 1e3);
        while let Some(message) = stream.next().await {
            message?;
        }
    }
    let start = Instant::now();
    let mut stream = client
        .examples(complete(ExamplesRequest::range(&args.sae, 0..d_sae)))
        .await?;
    let (mut latents, mut examples) = (0usize, 0usize);
    while let Some(message) = stream.next().await {
        latents += 1;
        examples += message?.examples.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    lines.emit(json!({
        "what": format!("examples, {} of {} tokens a latent", args.count, args.window),
        "first_message_ms": median(first),
        "latents": latents,
        "examples": examples,
        "latents_per_s": latents as f64 / seconds,
    }))
}
