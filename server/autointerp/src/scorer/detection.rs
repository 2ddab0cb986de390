//! Detection: on which of these texts does the latent fire? The label is whether it does. (delphi's detection, which others
//! call recall.)

use latentd_domain::autointerp::ScorerKind;

use super::{
    Plan, Scorer, Settings,
    classify::{self, Item},
    firing, rng, row, silent,
};
use crate::{
    Failure, Reply, Row, Skip, Subject,
    prompts::classify::Style,
    render,
    stats::{self, Summary},
};

#[derive(Debug)]
pub(super) struct Detection(pub(super) Settings);

impl Scorer for Detection {
    fn prompt_version(&self) -> &'static str {
        "detection/1"
    }

    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip> {
        let items = firing(subject, 1)?
            .iter()
            .chain(silent(subject, 1)?)
            .map(|shown| Item {
                text: render::line(&shown.text()),
                row: Row {
                    label: Some(shown.fires()),
                    ..row(shown)
                },
            })
            .collect();
        let rng = rng(subject, ScorerKind::Detection);
        let asked = (Style::Detection, &self.0);
        Ok(classify::plan(asked, (subject, explanation), items, rng))
    }

    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
        classify::read(plan, replies)
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::classification(rows, seed)
    }
}
