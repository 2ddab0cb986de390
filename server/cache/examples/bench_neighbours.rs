//! Times neighbours in a cache on disk: `cargo run --release -p latentd-cache --example bench_neighbours <folder of a cache>`.
//!
//! The files of neighbours that it leaves are those that a server would make.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{error::Error, path::Path, time::Instant};

use latentd_cache::{Cache, MAX_NEIGHBOURS, NeighbourQuery};
use latentd_domain::{Centring, Example, ExampleMode, ExampleQuery};

/// Latents whose windows are read.
const SOME: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args()
        .nth(1)
        .ok_or("name the folder of a cache")?;
    let cache = Cache::open(Path::new(&dir))?;
    let record = cache
        .manifest()
        .saes
        .first()
        .ok_or("the cache has no SAE")?;
    println!(
        "{} tokens, {} latents, {} activations in {} shards",
        cache.tokens().tokens(),
        record.d_sae,
        record.activations,
        record.shards.len()
    );
    let latents: Vec<u32> = (0..record.d_sae).collect();
    for count in [1, 50, latents.len()] {
        let some = latents.get(..count).unwrap_or(&latents);
        let started = Instant::now();
        cache.co_occurring(&record.name, some, MAX_NEIGHBOURS)?;
        report("counted together", some.len(), started);
    }
    for name in ["by block, kept", "kept before"] {
        let started = Instant::now();
        for &latent in &latents {
            cache.neighbours(&record.name, latent, MAX_NEIGHBOURS)?;
        }
        report(name, latents.len(), started);
    }
    silent(&cache, &latents)
}

fn silent(cache: &Cache, latents: &[u32]) -> Result<(), Box<dyn Error>> {
    let record = cache
        .manifest()
        .saes
        .first()
        .ok_or("the cache has no SAE")?;
    let mut asked = Vec::new();
    for &latent in latents.iter().step_by((latents.len() / SOME).max(1)) {
        asked.push((
            latent,
            cache.neighbours(&record.name, latent, MAX_NEIGHBOURS)?,
        ));
    }
    let query = NeighbourQuery::default();
    let (started, mut found) = (Instant::now(), 0);
    for (latent, neighbours) in &asked {
        found += cache
            .silent_windows_of(&record.name, *latent, neighbours, &query)?
            .len();
    }
    report(
        &format!("windows of neighbours ({found} found)"),
        asked.len(),
        started,
    );
    let query = ExampleQuery {
        mode: ExampleMode::NonActivating,
        count: 2000,
        groups: 1,
        window: query.window,
        centring: Centring::Peak,
        seed: 1,
    };
    let started = Instant::now();
    let pool = cache.pool(&query, &[])?;
    report("pool of windows", pool.len(), started);
    let ids: Vec<_> = pool.iter().map(Example::id).collect();
    let started = Instant::now();
    for (latent, _) in &asked {
        cache.fires_in(&record.name, *latent, &ids)?;
    }
    report("pool, whether a latent fires in it", asked.len(), started);
    Ok(())
}

fn report(what: &str, count: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{what:>45}: {:9.1} ms for {count:5}, {:8.1} µs each",
        seconds * 1e3,
        seconds * 1e6 / count.max(1) as f64
    );
}
