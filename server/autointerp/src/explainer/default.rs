//! Texts in which the latent fires, with the strong tokens marked and their activations from 0 to 10 (delphi's default).

use super::{Explainer, Question, Settings, answer, train};
use crate::{
    Failure, Reply, Skip, Subject,
    prompts::explain::{Parts, Style, messages, strong},
};

#[derive(Debug)]
pub(super) struct Default(pub(super) Settings);

impl Explainer for Default {
    fn prompt_version(&self) -> &'static str {
        "default/1"
    }

    fn plan(&self, subject: &Subject) -> Result<Question, Skip> {
        let shown = train(subject)?;
        let parts = Parts {
            firing: shown
                .iter()
                .map(|shown| strong(shown, self.0.threshold, subject.max_activation))
                .collect(),
            silent: Vec::new(),
            promoted: Vec::new(),
        };
        let messages = messages(Style::Default, &parts, self.0.reasoning);
        Ok(self.0.ask(subject, messages, shown.iter()))
    }

    fn read(&self, _subject: &Subject, replies: &[Reply]) -> Result<String, Failure> {
        answer::only(replies)
    }
}
