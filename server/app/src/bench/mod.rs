//! `latentd bench`: what calls cost, measured as a client sees them; one line for each measurement.
//!
//! `encode`, `cache` and `examples` speak to a running server. `device` and `fidelity` need no server: they start an engine of
//! their own, for machines that have a GPU and little else. `tests/bench/README.md` says what is compared with what.

mod cache;
mod device;
mod encode;
mod examples;
mod fidelity;
mod line;

use clap::{Args, Subcommand};

use line::Lines;

/// Arguments of `latentd bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Encode over gRPC: single prompts, 32 prompts in a call, many clients at once
    Encode(encode::EncodeArgs),
    /// Building a cache, in tokens a second
    Cache(cache::CacheArgs),
    /// StreamExamples: time to the first message, latents a second
    Examples(examples::ExamplesArgs),
    /// The engine alone, in this process: single and batched prompts, tokens a second in bulk
    Device(device::DeviceArgs),
    /// The reference values of tests/golden, compared with this build's device
    Fidelity(fidelity::FidelityArgs),
}

/// Runs one benchmark. `address` is the server's; `json` prints one JSON object a line.
///
/// # Errors
///
/// Whatever the server or the engine answers, and a difference beyond tolerance in `fidelity`.
pub(crate) async fn bench(args: BenchArgs, address: &str, json: bool) -> anyhow::Result<()> {
    let lines = Lines { json };
    match args.what {
        What::Encode(args) => encode::measure(args, address, &lines).await,
        What::Cache(args) => cache::measure(args, address, &lines).await,
        What::Examples(args) => examples::measure(args, address, &lines).await,
        What::Device(args) => device::measure(args, &lines).await,
        What::Fidelity(args) => fidelity::check(args, &lines).await,
    }
}

/// Token ids that look like any prompt to the device: a fixed sequence, below `vocab`, without special ids at its start.
fn synthetic_ids(seed: u64, length: usize, vocab: u32) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = move || {
        // Knuth's MMIX generator; its high bits are good enough for token ids.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let range = u64::from(vocab.saturating_sub(5).clamp(1, 40_000));
        ((state >> 33) % range) as u32 + 5.min(vocab.saturating_sub(1))
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The median, of an upper middle when there are two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
