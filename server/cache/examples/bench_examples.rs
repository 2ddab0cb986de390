//! Times examples of a synthetic cache: `cargo run --release -p latentd-cache --example bench_examples [tokens]`.
//!
//! 4 608 latents, 32 of them on each token, drawn by Zipf's law, in shards of 65 536 tokens. Prints the latents
//! that one thread reads in a second of processor time, in each mode.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{collections::BTreeSet, error::Error, time::Instant};

use latentd_cache::{
    BuildRecord, BuiltSae, Cache, ModelRecord, RowSpec, SHARD_TOKENS, Settings, ShardBuilder,
    ShardSpec, TokenTable, TokenWriter, finish, shard_path, shards,
};
use latentd_domain::{
    ActivationDtype, Centring, ExampleMode, ExampleQuery, SaeName, SparseActivations, SpecialTokens,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const D_SAE: u32 = 4608;
const K: usize = 32;
const CONTEXT: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let tokens: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |tokens| tokens.parse())?;
    let dir = tempfile::tempdir()?;
    let started = Instant::now();
    let sae: SaeName = "model/sae".parse()?;
    build(dir.path(), &sae, tokens)?;
    println!(
        "built {tokens} tokens in {:.1?}, {}",
        started.elapsed(),
        peak_memory()?
    );
    let started = Instant::now();
    let cache = Cache::open(dir.path())?;
    println!(
        "opened {} MB in {:.2?}",
        cache.size_bytes() >> 20,
        started.elapsed()
    );
    for (name, mode) in [
        ("top", ExampleMode::Top),
        ("quantile", ExampleMode::Quantile),
        ("bins", ExampleMode::Bins),
        ("random", ExampleMode::Random),
        ("non-activating", ExampleMode::NonActivating),
    ] {
        let query = ExampleQuery {
            mode,
            count: 20,
            groups: 10,
            window: 32,
            centring: Centring::Peak,
            seed: 1,
        };
        time(&cache, &sae, name, &query)?;
    }
    Ok(())
}

fn time(
    cache: &Cache,
    sae: &SaeName,
    name: &str,
    query: &ExampleQuery,
) -> Result<(), Box<dyn Error>> {
    let mut examples = 0;
    let (started, begun) = (Instant::now(), processor_time()?);
    for latent in 0..D_SAE {
        examples += cache.examples(sae, latent, query)?.examples.len();
    }
    let wall = started.elapsed().as_secs_f64() * 1e6 / f64::from(D_SAE);
    let busy = (processor_time()? - begun) * 1e6 / f64::from(D_SAE);
    println!(
        "{name:>14}: {busy:7.1} µs of processor ({wall:.1} µs of wall) a latent, {:6.0} latents a second, {examples} examples",
        1e6 / busy
    );
    Ok(())
}

/// The line of the most memory that was ever resident. Linux only.
fn peak_memory() -> Result<String, Box<dyn Error>> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    Ok(status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default()
        .to_owned())
}

/// Seconds that this thread has run: unlike the wall clock, not the neighbours' business. Linux only.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let schedule = fs_err::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = schedule.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}

fn build(dir: &std::path::Path, sae: &SaeName, tokens: u64) -> Result<(), Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let spec = RowSpec {
        context_length: CONTEXT,
        bos: Some(0),
        max_tokens: Some(tokens),
    };
    let mut writer = TokenWriter::create(dir, spec)?;
    loop {
        let length = rng.random_range(50..2000);
        let ids: Vec<u32> = (0..length).map(|_| rng.random_range(1..49_152)).collect();
        if !writer.push_document(&ids)? {
            break;
        }
    }
    writer.finish("synthetic")?;
    let table = TokenTable::open(dir)?;
    let latents = Zipf::new(D_SAE);
    let mut summaries = Vec::new();
    for (at, rows) in shards(&table, SHARD_TOKENS).into_iter().enumerate() {
        let spec = ShardSpec {
            d_sae: D_SAE,
            dtype: ActivationDtype::F16,
            context_length: CONTEXT,
            rows: rows.clone(),
        };
        let mut shard = ShardBuilder::new(spec);
        for row in rows {
            let mut activations = SparseActivations::with_capacity(CONTEXT, K);
            for _ in 0..table.row_len(row) {
                let mut firing = BTreeSet::new();
                while firing.len() < K {
                    firing.insert(latents.draw(&mut rng));
                }
                for latent in firing {
                    activations.push(latent, -rng.random_range(1e-6..1.0_f32).ln() * 4.0);
                }
                activations.end_row();
            }
            shard.add_row(row, &activations, 0..activations.rows())?;
        }
        summaries.push(shard.write(&shard_path(dir, sae, at))?);
    }
    let settings = Settings {
        context_length: CONTEXT,
        max_tokens: Some(tokens),
        seed: 0,
        bos: Some(0),
        special_tokens: SpecialTokens::Keep,
        masked_ids: Vec::new(),
        activation_dtype: ActivationDtype::F16,
        shard_tokens: SHARD_TOKENS,
    };
    let model = ModelRecord {
        name: sae.model().clone(),
        digest: String::new(),
        tokenizer_digest: String::new(),
    };
    let built = BuiltSae {
        name: sae.clone(),
        hook_point: "blocks.0.hook_resid_post".parse()?,
        d_sae: D_SAE,
        digest: String::new(),
        shards: summaries,
    };
    finish(
        dir,
        BuildRecord {
            model,
            settings,
            saes: vec![built],
        },
    )?;
    Ok(())
}

/// Latents by Zipf's law with exponent 0.7, which leaves the rarest of them a few thousand tokens in a million.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: u32) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=n).map(|rank| {
            sum += f64::from(rank).powf(-0.7);
            sum
        });
        Self(cumulative.collect())
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let total = self.0.last().copied().unwrap_or(1.0);
        let at = rng.random_range(0.0..total);
        self.0.partition_point(|&sum| sum < at) as u32
    }
}
