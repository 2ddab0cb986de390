//! What generation costs on this machine, now: one JSON line a measurement.
//!
//! ```text
//! cargo run --release -p latentd-nn --example bench_generate -- MODEL_DIR
//! ```
//!
//! A prompt in pieces of 256 tokens, then steps of several sequences at once. A step reads all weights once; `gib_s` is that
//! over its time.

use std::{path::Path, process::ExitCode, time::Instant};

use latentd_domain::Dtype;
use latentd_nn::{
    Device, Extension, Model, Past,
    logits::{Choice, Question},
};

type Failure = Box<dyn std::error::Error>;

/// Tokens of the prompt, and of a piece of it.
const PROMPT: usize = 768;
const PIECE: usize = 256;
const STEPS: usize = 16;

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1) {
        Some(model) => measure(&model),
        None => Err("usage: bench_generate MODEL_DIR".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(model: &str) -> Result<(), Failure> {
    let device = Device::new(0)?;
    let model = Model::load(Path::new(model), Dtype::F32, &device)?;
    let vocab = model.info().vocab as u32;
    let id = |i: usize| (i as u32).wrapping_mul(2_654_435_761) % vocab;
    let prompt: Vec<u32> = (0..PROMPT).map(id).collect();
    let ask = |row| {
        [Question {
            row,
            choice: Choice::Likeliest,
            top: 5,
            allowed: None,
        }]
    };

    let mut first = model.past(PROMPT + STEPS);
    let start = Instant::now();
    for piece in prompt.chunks(PIECE) {
        let questions = ask(piece.len() - 1);
        model.extend(&mut [Extension {
            past: &mut first,
            ids: piece,
            questions: &questions,
        }])?;
    }
    let seconds = start.elapsed().as_secs_f64();
    say(&format!(
        r#"{{"prompt": {PROMPT}, "piece": {PIECE}, "tokens_per_s": {:.0}}}"#,
        PROMPT as f64 / seconds
    ));

    for sequences in [1, 2, 4, 8, 12, 16, 32] {
        let start = Instant::now();
        let mut pasts: Vec<Past> = (0..sequences)
            .map(|_| {
                let mut past = model.past(PROMPT + STEPS);
                past.begin_like(&first, &prompt);
                past
            })
            .collect();
        let copying = start.elapsed().as_secs_f64() / f64::from(sequences);
        let mut best = f64::INFINITY;
        for step in 0..STEPS {
            let start = Instant::now();
            let (ids, questions) = ([id(step)], ask(0));
            let mut extensions: Vec<_> = pasts
                .iter_mut()
                .map(|past| Extension {
                    past,
                    ids: &ids,
                    questions: &questions,
                })
                .collect();
            model.extend(&mut extensions)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        say(&format!(
            r#"{{"sequences": {sequences}, "step_ms": {:.1}, "tokens_per_s": {:.1}, "gib_s": {:.1}, "copy_ms": {:.1}}}"#,
            best * 1e3,
            f64::from(sequences) / best,
            model.info().parameters as f64 * 4.0 / best / f64::from(1 << 30),
            copying * 1e3
        ));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "measurements are the output")]
fn say(line: &str) {
    println!("{line}");
}
