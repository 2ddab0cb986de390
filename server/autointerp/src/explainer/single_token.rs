//! Texts in which the latent fires, each with only its strongest token marked: for latents that fire on single tokens.

use super::{Explainer, Question, Settings, answer, train};
use crate::{
    Failure, Reply, Skip, Subject,
    prompts::explain::{Parts, Style, messages, single},
};

#[derive(Debug)]
pub(super) struct SingleToken(pub(super) Settings);

impl Explainer for SingleToken {
    fn prompt_version(&self) -> &'static str {
        "single_token/1"
    }

    fn plan(&self, subject: &Subject) -> Result<Question, Skip> {
        let shown = train(subject)?;
        let parts = Parts {
            firing: shown.iter().map(single).collect(),
            silent: Vec::new(),
            promoted: Vec::new(),
        };
        let messages = messages(Style::SingleToken, &parts, self.0.reasoning);
        Ok(self.0.ask(subject, messages, shown.iter()))
    }

    fn read(&self, _subject: &Subject, replies: &[Reply]) -> Result<String, Failure> {
        answer::only(replies)
    }
}
