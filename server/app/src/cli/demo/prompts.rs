//! Encodes a few prompts, and shows the text that fires their strongest latents.

use std::collections::HashMap;

use latentd_client::{
    Cache, Client, EncodeRequest, Encoded, ExamplesRequest, LatentStats, LatentStatsRequest,
    MAX_DENSITY, Sae,
};

use super::super::{
    encode::{View, describe},
    examples::{show, statistics},
    output::Output,
};

/// Different enough to fire different latents.
const PROMPTS: [&str; 4] = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "She closed the letter, put it back on the table and began to cry.",
    "The Senate voted on Tuesday to raise taxes on whiskey by 12 percent.",
    "Heat the oil in a large pan and fry the onions until they are soft.",
];
/// Latents shown for each prompt.
const SHOW: usize = 5;
/// Latents of a prompt that are looked at for examples, and how many are taken.
const CANDIDATES: usize = 32;
const PICKED: usize = 2;
/// Latents that fire more often than this fire on all kinds of text, and their examples tell little.
const PARTICULAR: f64 = 0.02;
/// Latents that fire less often have too few examples to tell anything.
const MIN_COUNT: u64 = 8;
/// Examples of each latent.
const EXAMPLES: u32 = 5;
/// Tokens in an example.
const WINDOW: u32 = 24;

/// Encodes and shows the prompts.
pub(super) async fn encode(client: &Client, sae: &Sae, out: &Output) -> anyhow::Result<Encoded> {
    let title = "\nPrompts, and the latents that fire on them\n";
    out.line(out.style.bold(title))?;
    let encoded = client
        .encode(EncodeRequest::new(PROMPTS, &sae.name))
        .await?;
    let view = View {
        show: SHOW,
        max_density: MAX_DENSITY,
    };
    out.text(&describe(&encoded, view, out))?;
    Ok(encoded)
}

/// Latents whose examples were shown.
pub(super) struct Shown {
    /// All of them.
    pub(super) latents: Vec<u32>,
    /// The one with the most examples.
    pub(super) best: u32,
}

/// Shows examples of latents that are particular to one of the prompts.
pub(super) async fn examples(
    client: &Client,
    (sae, cache): (&Sae, &Cache),
    encoded: &Encoded,
    out: &Output,
) -> anyhow::Result<Shown> {
    let candidates = candidates(encoded);
    let mut all: Vec<u32> = candidates.iter().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    let request = LatentStatsRequest::new(&cache.name)
        .sae(&sae.name)
        .latents(all);
    let stats = statistics(client, request).await?;
    let picked = pick(&candidates, &stats);
    let title = "\nThe text that makes the strongest latents of these prompts fire\n";
    out.line(out.style.bold(title))?;
    let request = ExamplesRequest::new(&sae.name, picked.clone())
        .cache(&cache.name)
        .count(EXAMPLES)
        .window(WINDOW);
    show(client, request, (&stats, 1.0), out).await?;
    let count = |latent: &u32| stats.get(latent).map_or(0, |stats| stats.count);
    let best = picked.iter().copied().max_by_key(count);
    Ok(Shown {
        latents: picked,
        best: best.unwrap_or_default(),
    })
}

/// The strongest latents of each prompt.
fn candidates(encoded: &Encoded) -> Vec<Vec<u32>> {
    (0..encoded.prompts.len())
        .map(|prompt| {
            let rows = encoded.first().rows.slice(encoded.rows_of(prompt));
            rows.top(CANDIDATES)
                .into_iter()
                .map(|top| top.latent)
                .collect()
        })
        .collect()
}

/// The strongest of each prompt that are neither everywhere nor almost nowhere; the strongest at all if there are none.
fn pick(candidates: &[Vec<u32>], stats: &HashMap<u32, LatentStats>) -> Vec<u32> {
    let telling = |latent: &u32| {
        stats
            .get(latent)
            .is_some_and(|stats| stats.density <= PARTICULAR && stats.count >= MIN_COUNT)
    };
    let mut picked: Vec<u32> = Vec::new();
    for latents in candidates {
        let new = latents
            .iter()
            .copied()
            .filter(|latent| telling(latent) && !picked.contains(latent));
        let new: Vec<u32> = new.take(PICKED).collect();
        picked.extend(new);
    }
    if picked.is_empty() {
        picked.extend(candidates.iter().filter_map(|latents| latents.first()));
        picked.dedup();
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(latent: u32, density: f64) -> (u32, LatentStats) {
        let stats = LatentStats {
            latent,
            count: 100,
            density,
            max: Some(1.0),
            mean: Some(1.0),
            mean_square: Some(1.0),
            histogram: vec![],
        };
        (latent, stats)
    }

    #[test]
    fn latents_that_are_everywhere_are_passed_over() {
        let stats = HashMap::from([
            stats(1, 0.9),
            stats(2, 0.01),
            stats(3, 0.001),
            stats(4, 0.001),
        ]);
        assert_eq!(pick(&[vec![1, 2, 3, 4], vec![1, 2, 4]], &stats), [2, 3, 4]);
        assert_eq!(pick(&[vec![1, 9], vec![1]], &stats), [1]);
    }
}
