//! Fuzzing: in which of these texts are the right tokens marked? The label is whether they are.
//!
//! Wrong marks lie in texts on which the latent does not fire: where the latent fires whose example it is, if it is one, and
//! otherwise after the marks of an example on which this latent fires ([`marks`](super::marks)).

use latentd_domain::autointerp::ScorerKind;

use super::{
    Plan, Scorer, Settings,
    classify::{self, Item},
    firing,
    marks::Patterns,
    rng, row, silent,
};
use crate::{
    Failure, Reply, Row, Shown, Skip, Subject,
    prompts::classify::Style,
    render,
    stats::{self, Summary},
};

#[derive(Debug)]
pub(super) struct Fuzzing(pub(super) Settings);

impl Scorer for Fuzzing {
    fn prompt_version(&self) -> &'static str {
        "fuzzing/1"
    }

    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip> {
        let mut rng = rng(subject, ScorerKind::Fuzzing);
        let firing = firing(subject, 1)?;
        let patterns = Patterns::of(firing, self.0.threshold);
        let right = firing.iter().map(|shown| {
            item(
                shown,
                &render::strong(&shown.activations, self.0.threshold),
                true,
            )
        });
        let mut items: Vec<Item> = right.collect();
        for shown in silent(subject, 1)? {
            let marks = patterns.wrong(shown, self.0.threshold, &mut rng);
            items.extend(marks.map(|marks| item(shown, &marks, false)));
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

/// A text with marks, which are right or not.
pub(super) fn item(shown: &Shown, marks: &[bool], right: bool) -> Item {
    Item {
        text: render::marked(&shown.tokens, marks),
        row: Row {
            label: Some(right),
            marked: render::indexes(marks),
            ..row(shown)
        },
    }
}
