//! Texts in which the latent fires, beside texts in which it does not.
//!
//! Of the former the 15 strongest are shown, of the latter all of the subject's, which are few (delphi's contrastive
//! explainer shows 5).

use super::{Explainer, Question, Settings, answer, train};
use crate::{
    Failure, Reply, Skip, Subject,
    prompts::explain::{Parts, Style, messages, silent, strong},
};

/// Texts in which the latent fires, at most.
const MOST: usize = 15;

#[derive(Debug)]
pub(super) struct Contrastive(pub(super) Settings);

impl Explainer for Contrastive {
    fn prompt_version(&self) -> &'static str {
        "contrastive/1"
    }

    fn plan(&self, subject: &Subject) -> Result<Question, Skip> {
        let shown = train(subject)?.get(..MOST).unwrap_or(&subject.train);
        let parts = Parts {
            firing: shown
                .iter()
                .map(|shown| strong(shown, self.0.threshold, subject.max_activation))
                .collect(),
            silent: subject.contrast.iter().map(silent).collect(),
            promoted: Vec::new(),
        };
        let messages = messages(Style::Contrastive, &parts, self.0.reasoning);
        let shown = shown.iter().chain(&subject.contrast);
        Ok(self.0.ask(subject, messages, shown))
    }

    fn read(&self, _subject: &Subject, replies: &[Reply]) -> Result<String, Failure> {
        answer::only(replies)
    }
}
