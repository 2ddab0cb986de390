//! What a forward pass costs on this machine, now: one JSON line a measurement.
//!
//! ```text
//! cargo run --release -p latentd-nn --example bench_forward -- MODEL_DIR HOOK_POINT [SAE_DIR]
//! ```
//!
//! `single_ms` is the median of 25 lone prompts; `tokens_per_s` the best of 5 passes over 8 rows of 256 tokens. With an SAE
//! each pass is followed by its encoding. Compare with PyTorch on the same machine in the same minutes only.

use std::{path::Path, process::ExitCode, time::Instant};

use latentd_domain::{Dtype, HookPoint, Scale, Selection};
use latentd_nn::{
    Device, Model, PackedTokens, Taps,
    sae::{Sae, SaeOptions},
};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [model, point] => measure(model, point, None),
        [model, point, sae] => measure(model, point, Some(sae)),
        _ => Err("usage: bench_forward MODEL_DIR HOOK_POINT [SAE_DIR]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(model: &str, point: &str, sae: Option<&String>) -> Result<(), Failure> {
    let device = Device::new(0)?;
    let start = Instant::now();
    let model = Model::load(Path::new(model), Dtype::F32, &device)?;
    say(&format!(
        r#"{{"load_s": {:.2}, "device": "{}"}}"#,
        start.elapsed().as_secs_f64(),
        device.name()
    ));
    let point: HookPoint = point.parse()?;
    let sae = sae
        .map(|path| Sae::load(Path::new(path), &SaeOptions::default(), &model, &device))
        .transpose()?;
    let taps = Taps::new([point]);
    let vocab = model.info().vocab as u32;

    let pass = |rows: usize, length: usize| -> Result<f64, Failure> {
        let sequences: Vec<Vec<u32>> = (0..rows)
            .map(|row| {
                (0..length)
                    .map(|i| ((row * 131 + i) as u32).wrapping_mul(2_654_435_761) % vocab)
                    .collect()
            })
            .collect();
        let tokens = PackedTokens::new(sequences.iter().map(Vec::as_slice));
        let start = Instant::now();
        let captured = model.run(&tokens, &taps)?;
        let recorded = captured.get(point).ok_or("nothing was recorded")?;
        if let Some(sae) = &sae {
            let mask = vec![true; tokens.tokens()];
            sae.encode(recorded, &mask, &Selection::AllFiring, Scale::Raw)?;
        }
        Ok(start.elapsed().as_secs_f64())
    };
    for length in [8, 32, 128] {
        let mut times = (0..25)
            .map(|_| pass(1, length))
            .collect::<Result<Vec<_>, _>>()?;
        times.sort_by(f64::total_cmp);
        let median = times.get(12).copied().unwrap_or_default() * 1e3;
        let batched = (0..3)
            .map(|_| pass(32, length))
            .collect::<Result<Vec<_>, _>>()?;
        let batched = batched.into_iter().fold(f64::MAX, f64::min) * 1e3 / 32.0;
        say(&format!(
            r#"{{"tokens": {length}, "single_ms": {median:.2}, "batched_ms": {batched:.2}}}"#
        ));
    }
    let times = (0..5)
        .map(|_| pass(8, 256))
        .collect::<Result<Vec<_>, _>>()?;
    let best = times.into_iter().fold(f64::MAX, f64::min);
    say(&format!(
        r#"{{"rows": 8, "tokens": 2048, "tokens_per_s": {:.0}}}"#,
        2048.0 / best
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
fn say(line: &str) {
    println!("{line}");
}
