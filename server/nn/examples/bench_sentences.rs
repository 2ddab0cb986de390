//! What embeddings cost on this machine, now: one JSON line a measurement.
//!
//! ```text
//! cargo run --release -p latentd-nn --example bench_sentences -- ENCODER_DIR
//! ```
//!
//! `best_ms` and `median_ms` are of 25 passes over as many texts of as many tokens; `gflops` is of the best, with the products
//! alone counted. Compare with PyTorch on the same machine in the same minutes only.

use std::{path::Path, process::ExitCode, time::Instant};

use latentd_nn::{Device, PackedTokens, SentenceEncoder};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [folder] => measure(folder),
        _ => Err("usage: bench_sentences ENCODER_DIR".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(folder: &str) -> Result<(), Failure> {
    let device = Device::new(0)?;
    let start = Instant::now();
    let encoder = SentenceEncoder::load(Path::new(folder), &device)?;
    say(&format!(
        r#"{{"load_s": {:.2}, "device": "{}", "threads": {}}}"#,
        start.elapsed().as_secs_f64(),
        device.name(),
        device.threads()
    ));
    let info = encoder.info();
    // Multiplications of one token: queries, keys, values and output, and the two of the MLP.
    let products = info.n_layers * info.d_model * (4 * info.d_model + 2 * info.d_mlp);
    for (texts, length) in [(1, 8), (1, 32), (32, 32), (64, 32), (16, 128)] {
        let sequences: Vec<Vec<u32>> = (0..texts)
            .map(|text| {
                (0..length)
                    .map(|i| {
                        ((text * 131 + i) as u32).wrapping_mul(2_654_435_761) % info.vocab as u32
                    })
                    .collect()
            })
            .collect();
        let tokens = PackedTokens::new(sequences.iter().map(Vec::as_slice));
        let mut times = (0..25)
            .map(|_| {
                let start = Instant::now();
                encoder.embed(&tokens)?;
                Ok(start.elapsed().as_secs_f64())
            })
            .collect::<Result<Vec<f64>, Failure>>()?;
        times.sort_by(f64::total_cmp);
        let (best, median) = (times.first().copied(), times.get(12).copied());
        let (best, median) = (best.unwrap_or_default(), median.unwrap_or_default());
        let gflops = 2e-9 * (texts * length * products) as f64 / best;
        say(&format!(
            r#"{{"texts": {texts}, "tokens": {length}, "best_ms": {:.2}, "median_ms": {:.2}, "gflops": {gflops:.0}}}"#,
            best * 1e3,
            median * 1e3
        ));
    }
    let text = "The jury further said in term-end presentments that the City Executive Committee deserves the praise. ";
    let start = Instant::now();
    for _ in 0..1000 {
        encoder.tokenize(text)?;
    }
    say(&format!(
        r#"{{"tokenize_us": {:.1}, "tokens": {}}}"#,
        start.elapsed().as_secs_f64() * 1e3,
        encoder.tokenize(text)?.len()
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
fn say(line: &str) {
    println!("{line}");
}
