//! The sparse encoder's rate, beside SAELens' dense encode of the same SAE on the same machine, in turn.
//!
//! ```text
//! cargo run --release -p latentd-nn --example bench_sae -- [--rows 2048] [--d-in 576] [--k 32] [--peer PYTHON]
//! ```
//!
//! `PYTHON` is an interpreter with sae-lens. The rate counts the product alone, 2 · rows · d_in · d_sae operations.

#![expect(clippy::print_stdout, reason = "a benchmark talks to its user")]

use std::{error::Error, path::Path, process::Command, time::Instant};

use latentd_domain::{Scale, Selection};
use latentd_nn::{
    Device, Tensor,
    sae::{Sae, SaeOptions},
};
use safetensors::tensor::{Dtype, TensorView};

/// Rounds in which both sides run; the best time of each counts.
const ROUNDS: usize = 3;

struct Arguments {
    rows: usize,
    d_in: usize,
    k: usize,
    peer: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let device = Device::new(0)?;
    println!(
        "{} rows, d_in {}, top {}, {} threads",
        arguments.rows,
        arguments.d_in,
        arguments.k,
        device.threads()
    );
    for d_sae in [8 * arguments.d_in, 32 * arguments.d_in] {
        let folder = tempfile::tempdir()?;
        for architecture in ["topk", "jumprelu"] {
            write_sae(folder.path(), &arguments, (architecture, d_sae))?;
            let sae = Sae::open(folder.path(), &SaeOptions::default(), &device)?;
            let input = device.from_host(
                noise(1, arguments.rows * arguments.d_in),
                [arguments.rows, arguments.d_in],
            );
            let (mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..ROUNDS {
                ours = ours.min(time(&sae, &input)?);
                if let Some(python) = &arguments.peer {
                    theirs = theirs.min(time_peer(python, folder.path(), arguments.rows)?);
                }
            }
            let work = 2.0 * (arguments.rows * arguments.d_in * d_sae) as f64;
            let rate = |milliseconds: f64| work / milliseconds / 1e6;
            print!(
                "{architecture:9} {} -> {d_sae:6}: {ours:7.1} ms {:6.0} GF/s",
                arguments.d_in,
                rate(ours)
            );
            if theirs.is_finite() {
                print!(
                    "   SAELens {theirs:7.1} ms {:6.0} GF/s   {:.2} times as fast",
                    rate(theirs),
                    theirs / ours
                );
            }
            println!();
        }
    }
    Ok(())
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut out = Self {
            rows: 2048,
            d_in: 576,
            k: 32,
            peer: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().ok_or("an option needs a value")?;
            match name.as_str() {
                "--rows" => out.rows = value.parse()?,
                "--d-in" => out.d_in = value.parse()?,
                "--k" => out.k = value.parse()?,
                "--peer" => out.peer = Some(value),
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        Ok(out)
    }
}

/// Milliseconds of the best of some encodes.
fn time(sae: &Sae, input: &Tensor<2>) -> Result<f64, Box<dyn Error>> {
    let mask = vec![true; input.dims()[0]];
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        let start = Instant::now();
        let sparse = sae.encode(input, &mask, &Selection::AllFiring, Scale::Raw)?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        assert!(sparse.entries() > 0, "something fires");
    }
    Ok(best)
}

fn time_peer(python: &str, folder: &Path, rows: usize) -> Result<f64, Box<dyn Error>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bench_sae.py");
    let output = Command::new(python)
        .arg(script)
        .arg(folder)
        .arg(rows.to_string())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text
        .lines()
        .last()
        .ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let reply: serde_json::Value = serde_json::from_str(line)?;
    Ok(reply
        .get("ms")
        .and_then(serde_json::Value::as_f64)
        .ok_or("no `ms`")?)
}

/// A SAELens folder with random weights. Of a jumprelu about 1 latent in 300 fires, as in real ones.
fn write_sae(
    folder: &Path,
    arguments: &Arguments,
    (architecture, d_sae): (&str, usize),
) -> Result<(), Box<dyn Error>> {
    let d_in = arguments.d_in;
    let metadata =
        serde_json::json!({"sae_lens_version": "6.54.12", "hook_name": "blocks.0.hook_resid_post"});
    let config = serde_json::json!({
        "architecture": architecture, "d_in": d_in, "d_sae": d_sae, "k": arguments.k, "dtype": "float32",
        "device": "cpu", "rescale_acts_by_decoder_norm": false, "metadata": metadata,
    });
    fs_err::write(folder.join("cfg.json"), config.to_string())?;
    // The noise has variance 1/3, so a product has a deviation of √d_in / 3.
    let threshold = 2.7 * (d_in as f32).sqrt() / 3.0;
    let tensors = [
        ("W_enc", vec![d_in, d_sae], noise(2, d_in * d_sae)),
        ("W_dec", vec![d_sae, d_in], noise(3, d_in * d_sae)),
        ("b_enc", vec![d_sae], noise(4, d_sae)),
        ("b_dec", vec![d_in], noise(5, d_in)),
        ("threshold", vec![d_sae], vec![threshold; d_sae]),
    ];
    let views = tensors
        .iter()
        .filter(|(name, ..)| architecture == "jumprelu" || *name != "threshold");
    let views = views
        .map(|(name, shape, values)| {
            Ok((
                *name,
                TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))?,
            ))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    fs_err::write(
        folder.join("sae_weights.safetensors"),
        safetensors::serialize(views, None)?,
    )?;
    Ok(())
}

/// Numbers between -1 and 1.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
