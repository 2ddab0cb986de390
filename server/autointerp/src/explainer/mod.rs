//! Explainers: each shows examples of a latent to a provider and reads an explanation out of its answers, or writes one from the
//! examples alone. One file each.

use std::fmt::Debug;

use latentd_domain::autointerp::{ExampleId, ExplainerKind, ExplainerSpec};

use crate::{Call, Chat, Failure, Message, Reply, Shown, Skip, Subject};

mod answer;
mod completion;
mod contrastive;
mod default;
mod max_act_logits;
mod single_token;
mod top_tokens;
mod words;

/// What an explainer asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The calls. They do not depend on each other. None where no language model is asked.
    pub calls: Vec<Call>,
    /// The examples that the explanation is made from.
    pub shown: Vec<ExampleId>,
}

/// Writes explanations.
pub trait Explainer: Debug + Send + Sync {
    /// Name, and version of the prompt: it grows with every change of the text that is sent. `default/1`.
    fn prompt_version(&self) -> &'static str;

    /// What to ask about `subject`.
    fn plan(&self, subject: &Subject) -> Result<Question, Skip>;

    /// What to ask next, going by the replies to the calls of the plan. Most ask nothing more.
    fn then(&self, subject: &Subject, replies: &[Reply]) -> Result<Vec<Call>, Failure> {
        let _ = (subject, replies);
        Ok(Vec::new())
    }

    /// The explanation, from the replies to all calls, in their order.
    fn read(&self, subject: &Subject, replies: &[Reply]) -> Result<String, Failure>;
}

/// The explainer that `spec` describes; `None` where nobody is asked.
pub fn from_spec(spec: &ExplainerSpec) -> Option<Box<dyn Explainer>> {
    let settings = Settings {
        threshold: spec.threshold,
        reasoning: spec.chain_of_thought,
        temperature: spec.temperature,
        max_tokens: spec.max_tokens,
    };
    Some(match spec.kind {
        ExplainerKind::Default => Box::new(default::Default(settings)),
        ExplainerKind::SingleToken => Box::new(single_token::SingleToken(settings)),
        ExplainerKind::Contrastive => Box::new(contrastive::Contrastive(settings)),
        ExplainerKind::MaxActLogits => Box::new(max_act_logits::MaxActLogits(settings)),
        ExplainerKind::TopTokens => Box::new(top_tokens::TopTokens),
        ExplainerKind::Completion => Box::new(completion::Completion),
        ExplainerKind::None | ExplainerKind::RandomBaseline => return None,
    })
}

/// What all explainers have in common.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// Tokens are marked from this share of the highest activation of their example.
    threshold: f64,
    /// Whether to ask for reasoning.
    reasoning: bool,
    /// Sampling temperature.
    temperature: f64,
    /// Longest answer, in tokens.
    max_tokens: u32,
}

impl Settings {
    /// The question that sends `messages`, which show `shown`.
    fn ask<'a>(
        &self,
        subject: &Subject,
        messages: Vec<Message>,
        shown: impl Iterator<Item = &'a Shown>,
    ) -> Question {
        Question {
            calls: vec![Call::Chat(Chat {
                messages,
                temperature: self.temperature,
                max_tokens: self.max_tokens,
                seed: subject.seed,
                schema: None,
                top_logprobs: 0,
            })],
            shown: shown.map(|shown| shown.id).collect(),
        }
    }
}

/// The examples to explain `subject` from: at least one.
fn train(subject: &Subject) -> Result<&[Shown], Skip> {
    if subject.train.is_empty() {
        return Err(Skip::TooFewExamples {
            what: "examples to explain from",
            have: 0,
            need: 1,
        });
    }
    Ok(&subject.train)
}
