//! Scorers: each shows examples, asks about them, and makes a row of each. One file each, all of the same shape.

use std::fmt::Debug;

use latentd_domain::{
    Reason,
    autointerp::{ScorerKind, ScorerSpec},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{Call, Failure, Reply, Row, Shown, Skip, Subject, stats::Summary};

mod classify;
mod detection;
mod embedding;
mod example_embedding;
mod fuzzing;
mod fuzzing_active;
mod intruder;
mod marks;
mod simulation;
mod simulation_json;
mod surprisal;

/// What a scorer asks, and a row for each example that it shows, without what is not known yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The calls. They do not depend on each other.
    pub calls: Vec<Call>,
    /// The rows; [`Row::call`] says which call tells the outcome of each. Rows of one call are in the order in which it shows
    /// them.
    pub rows: Vec<Row>,
}

/// Grades explanations.
pub trait Scorer: Debug + Send + Sync {
    /// Name, and version of the prompt: it grows with every change of the text that is sent. `detection/1`.
    fn prompt_version(&self) -> &'static str;

    /// What to ask about `subject`. `explanation` is empty for scorers that need none.
    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip>;

    /// The rows with what was found out; one reply for each call, in their order. A call that failed makes its rows fail, and
    /// nothing else.
    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row>;

    /// The score and its metrics, from the rows alone.
    fn summarize(&self, rows: &[Row], seed: u64) -> Summary;
}

/// The scorer that `spec` describes.
pub fn from_spec(spec: &ScorerSpec) -> Box<dyn Scorer> {
    let settings = Settings {
        per_prompt: spec.examples_per_prompt.max(1),
        threshold: spec.threshold,
        temperature: spec.temperature,
        max_tokens: spec.max_tokens,
    };
    match spec.kind {
        ScorerKind::Detection => Box::new(detection::Detection(settings)),
        ScorerKind::Fuzzing => Box::new(fuzzing::Fuzzing(settings)),
        ScorerKind::FuzzingActive => Box::new(fuzzing_active::FuzzingActive(settings)),
        ScorerKind::Simulation => Box::new(simulation::Simulation(spec.calibration)),
        ScorerKind::SimulationJson => Box::new(simulation_json::SimulationJson {
            settings,
            calibration: spec.calibration,
        }),
        ScorerKind::Surprisal => Box::new(surprisal::Surprisal),
        ScorerKind::Embedding => Box::new(embedding::Embedding),
        ScorerKind::ExampleEmbedding => Box::new(example_embedding::ExampleEmbedding),
        ScorerKind::Intruder => Box::new(intruder::Intruder(settings)),
    }
}

/// What scorers that ask in words have in common.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// Examples in one prompt.
    per_prompt: usize,
    /// Tokens are marked from this share of the highest activation of their example.
    threshold: f64,
    /// Sampling temperature.
    temperature: f64,
    /// Longest answer, in tokens, thinking included.
    max_tokens: u32,
}

impl Settings {
    /// The longest answer, of which the answer itself needs so many tokens.
    fn room_for(&self, needed: usize) -> u32 {
        self.max_tokens
            .max(u32::try_from(needed).unwrap_or(u32::MAX))
    }
}

/// A row of an example, with what is known of it.
fn row(shown: &Shown) -> Row {
    Row {
        example: Some(shown.id),
        quantile: shown.quantile,
        distance: shown
            .non_activating
            .as_ref()
            .and_then(|from| from.similarity),
        ..Row::default()
    }
}

/// Random numbers for one latent, other ones for each scorer.
fn rng(subject: &Subject, scorer: ScorerKind) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(subject.seed);
    rng.set_stream(1 + scorer as u64);
    rng
}

/// The reply to a call of the plan.
fn reply_to(replies: &[Result<Reply, Failure>], call: usize) -> Result<&Reply, Failure> {
    let lost = || {
        Failure::new(
            Reason::ProviderMalformedReply,
            "there is no reply to the call",
        )
    };
    match replies.get(call) {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(failure)) => Err(failure.clone()),
        None => Err(lost()),
    }
}

/// `rows`, each with what `fill` finds out about it from the reply to its call, or why it does not.
fn fill_each(
    rows: &[Row],
    replies: &[Result<Reply, Failure>],
    fill: impl Fn(&mut Row, &Reply) -> Result<(), Failure>,
) -> Vec<Row> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        let filled = reply_to(replies, row.call).and_then(|reply| fill(row, reply));
        row.failure = filled.err();
    }
    rows
}

/// Examples on which the latent fires: at least `need`.
fn firing(subject: &Subject, need: usize) -> Result<&[Shown], Skip> {
    at_least(
        &subject.test,
        need,
        "examples on which the latent fires, to score with",
    )
}

/// Examples on which the latent does not fire: at least `need`.
fn silent(subject: &Subject, need: usize) -> Result<&[Shown], Skip> {
    at_least(
        &subject.non_activating,
        need,
        "examples on which the latent does not fire",
    )
}

fn at_least<'a>(shown: &'a [Shown], need: usize, what: &'static str) -> Result<&'a [Shown], Skip> {
    let have = shown.len();
    if have < need {
        return Err(Skip::TooFewExamples { what, have, need });
    }
    Ok(shown)
}
