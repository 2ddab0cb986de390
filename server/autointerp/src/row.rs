//! One example that a scorer showed, and what came of it: what every metric can be computed from again.

use latentd_domain::{Reason, autointerp::ExampleId};

/// Why something could not be scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// What exactly, for people.
    pub detail: String,
}

impl Failure {
    /// A failure.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// One example that was shown. Which fields a scorer fills is said in its file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The example; `None` where a row is of a whole prompt (intruder).
    pub example: Option<ExampleId>,
    /// Quantile that it was drawn from.
    pub quantile: Option<u32>,
    /// Similarity that chose it as one on which the latent does not fire.
    pub distance: Option<f32>,
    /// Truth of a classification.
    pub label: Option<bool>,
    /// What was said.
    pub prediction: Option<bool>,
    /// Probability of "yes".
    pub probability: Option<f32>,
    /// Cosine, difference of cosines, or fall of the loss.
    pub value: Option<f64>,
    /// Position of the intruder.
    pub choice: Option<u32>,
    /// Position that was named.
    pub chosen: Option<u32>,
    /// True value of each token.
    pub truth: Vec<f32>,
    /// Predicted value of each token.
    pub predicted: Vec<f32>,
    /// Tokens that were marked.
    pub marked: Vec<u32>,
    /// Why there is no prediction.
    pub failure: Option<Failure>,
    /// Index, in the plan, of the call that it was shown in.
    pub call: usize,
}
