//! Explainers: each shows examples of a latent to a provider and reads an explanation out of its answer. One file each.

use std::fmt::Debug;

use latentd_domain::autointerp::{ExampleId, ExplainerSpec};

use crate::{Call, Failure, Reply, Skip, Subject};

/// What an explainer asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The call.
    pub call: Call,
    /// The examples that it shows.
    pub shown: Vec<ExampleId>,
}

/// Writes explanations.
pub trait Explainer: Debug + Send + Sync {
    /// Name, and version of the prompt: it grows with every change of the text that is sent. `default/1`.
    fn prompt_version(&self) -> &'static str;

    /// What to ask about `subject`.
    fn plan(&self, subject: &Subject) -> Result<Question, Skip>;

    /// The explanation in an answer.
    fn read(&self, reply: &Reply) -> Result<String, Failure>;
}

/// The explainer that `spec` describes; `None` where nobody is asked.
#[expect(clippy::todo, reason = "under way")]
pub fn from_spec(spec: &ExplainerSpec) -> Option<Box<dyn Explainer>> {
    let _ = spec;
    todo!()
}
