//! `latentd cache window`: the text of windows, by their ids.

use clap::Args;
use latentd_client::{Client, Window, WindowsRequest};

use super::super::{
    output::Output,
    tokens::{strongest, warm},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct WindowArgs {
    /// CACHE, or caches/CACHE
    cache: String,
    /// Windows: ROW:START+LENGTH, in tokens, as the examples of a score are called
    #[arg(required = true)]
    windows: Vec<String>,
    /// Mark where this latent fires
    #[arg(long)]
    latent: Option<u32>,
    /// MODEL/SAE of the latent [default: the only one of the cache]
    #[arg(long, requires = "latent")]
    sae: Option<String>,
}

/// Reads the windows and prints them.
pub(super) async fn run(args: WindowArgs, client: &Client, out: &Output) -> anyhow::Result<()> {
    let mut request = WindowsRequest::new(args.cache, args.windows);
    if let Some(latent) = args.latent {
        request = request.latent(args.sae.unwrap_or_default(), latent);
    }
    let windows = client.windows(request).await?;
    if out.json {
        for window in &windows {
            out.json(window)?;
        }
        return Ok(());
    }
    for window in &windows {
        out.line(line(window, out))?;
    }
    Ok(())
}

fn line(window: &Window, out: &Output) -> String {
    let peak = strongest(&window.activations);
    let text = warm(
        &window.tokens,
        &window.activations,
        peak.map_or(0.0, |(_, max)| max),
        peak.map(|(index, _)| index),
        out.style,
    );
    let document = out.style.dim(&format!("document {}", window.document));
    format!("{}  {document}  {text}", out.style.bold(&window.id))
}
