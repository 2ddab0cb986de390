//! Scorers: each shows examples, asks about them, and makes a row of each. One file each, all of the same shape.

use std::fmt::Debug;

use latentd_domain::autointerp::ScorerSpec;

use crate::{Call, Failure, Reply, Row, Skip, Subject, stats::Summary};

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
#[expect(clippy::todo, reason = "under way")]
pub fn from_spec(spec: &ScorerSpec) -> Box<dyn Scorer> {
    let _ = spec;
    todo!()
}
