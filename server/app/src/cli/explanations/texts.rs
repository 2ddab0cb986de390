//! What the examples of a score show, read from the cache of its job.

use std::collections::HashMap;

use latentd_client::{Client, Score, Window, WindowsRequest};

use super::super::output::Output;

/// Windows that are read at once: below what any server takes.
const AT_ONCE: usize = 100;

/// Windows by their ids.
pub(super) type Texts = HashMap<String, Window>;

/// The windows of a score that is to be read by people; none if they are no longer there, which a remark tells.
pub(super) async fn of(score: &Score, client: &Client, out: &Output) -> Texts {
    if out.json || score.examples.is_empty() {
        return Texts::new();
    }
    read(score, client).await.unwrap_or_else(|error| {
        out.remark(
            out.remarks
                .dim(&format!("without the text of the examples: {error}")),
        );
        Texts::new()
    })
}

async fn read(score: &Score, client: &Client) -> anyhow::Result<Texts> {
    let job = client.job(&score.job).await?;
    let spec: serde_json::Value = serde_json::from_str(&job.spec_json)?;
    let cache = spec.get("cache").and_then(|cache| cache.as_str());
    let sae = score.explanation.split_once("/latents/");
    let (Some(cache), Some((sae, _))) = (cache, sae) else {
        anyhow::bail!("the job names no cache");
    };
    let ids: Vec<&str> = score
        .examples
        .iter()
        .map(|example| example.example.as_str())
        .collect();
    let mut texts = Texts::new();
    for ids in ids.chunks(AT_ONCE) {
        let request = WindowsRequest::new(cache, ids.iter().copied()).latent(sae, score.latent);
        let windows = client.windows(request).await?;
        texts.extend(
            windows
                .into_iter()
                .map(|window| (window.id.clone(), window)),
        );
    }
    Ok(texts)
}
