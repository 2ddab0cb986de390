//! Texts in which the latent fires, and the tokens that it makes likelier (as Neuronpedia's np_max-act-logits).

use super::{Explainer, Question, Settings, answer, train};
use crate::{
    Failure, Reply, Skip, Subject,
    prompts::explain::{Parts, Style, messages, strong},
};

/// Tokens that the latent promotes, at most.
const MOST_PROMOTED: usize = 10;

#[derive(Debug)]
pub(super) struct MaxActLogits(pub(super) Settings);

impl Explainer for MaxActLogits {
    fn prompt_version(&self) -> &'static str {
        "max_act_logits/1"
    }

    fn plan(&self, subject: &Subject) -> Result<Question, Skip> {
        let shown = train(subject)?;
        let promoted = subject.promoted.iter().take(MOST_PROMOTED);
        let parts = Parts {
            firing: shown
                .iter()
                .map(|shown| strong(shown, self.0.threshold, subject.max_activation))
                .collect(),
            silent: Vec::new(),
            promoted: promoted.cloned().collect(),
        };
        let messages = messages(Style::MaxActLogits, &parts, self.0.reasoning);
        Ok(self.0.ask(subject, messages, shown.iter()))
    }

    fn read(&self, _subject: &Subject, replies: &[Reply]) -> Result<String, Failure> {
        answer::only(replies)
    }
}
