//! Fuzzing with wrong marks in texts on which the latent fires (delphi's fuzz_type active).
//!
//! Each text is shown twice, once with right marks and once with wrong ones, which lie on tokens on which the latent does not
//! fire. A text in which it fires on every token is shown with right marks only.

use latentd_domain::autointerp::ScorerKind;

use super::{Plan, Scorer, Settings, classify, firing, fuzzing::item, marks::Patterns, rng};
use crate::{
    Failure, Reply, Row, Skip, Subject,
    prompts::classify::Style,
    render,
    stats::{self, Summary},
};

#[derive(Debug)]
pub(super) struct FuzzingActive(pub(super) Settings);

impl Scorer for FuzzingActive {
    fn prompt_version(&self) -> &'static str {
        "fuzzing_active/1"
    }

    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip> {
        let mut rng = rng(subject, ScorerKind::FuzzingActive);
        let firing = firing(subject, 1)?;
        let patterns = Patterns::of(firing, self.0.threshold);
        let mut items = Vec::new();
        for shown in firing {
            let right = render::strong(&shown.activations, self.0.threshold);
            items.push(item(shown, &right, true));
            let silent = |at: usize| shown.activations.get(at).is_some_and(|&a| a <= 0.0);
            let wrong = patterns.lay(shown, silent, &mut rng);
            items.extend(wrong.map(|marks| item(shown, &marks, false)));
        }
        let asked = (Style::Fuzzing, &self.0);
        Ok(classify::plan(asked, (subject, explanation), items, rng))
    }

    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
        classify::read(plan, replies)
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::classification(rows, seed)
    }
}
