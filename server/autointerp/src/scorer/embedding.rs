//! Embedding: is the explanation near the texts, as a sentence encoder sees them? `value` is the cosine, and the score the AUC
//! of texts on which the latent fires against the others.
//!
//! The explanation is embedded as it is. (delphi puts an instruction before it, for encoders that are made for that; MiniLM,
//! its default elsewhere, is not.)

use super::{Plan, Scorer, firing, reply_to, row, silent};
use crate::{
    Call, Embed, Failure, Reply, Row, Skip, Subject, parse,
    stats::{self, Summary},
};

#[derive(Debug)]
pub(super) struct Embedding;

impl Scorer for Embedding {
    fn prompt_version(&self) -> &'static str {
        "embedding/1"
    }

    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip> {
        let mut texts = vec![explanation.trim().to_owned()];
        let mut plan = Plan::default();
        for shown in firing(subject, 1)?.iter().chain(silent(subject, 1)?) {
            texts.push(shown.text());
            plan.rows.push(Row {
                label: Some(shown.fires()),
                ..row(shown)
            });
        }
        plan.calls.push(Call::Embed(Embed { texts }));
        Ok(plan)
    }

    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
        with_embeddings(plan, replies, plan.rows.len() + 1, |all| {
            let (explanation, texts) = all.split_first()?;
            Some(texts.iter().map(|text| dot(explanation, text)).collect())
        })
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::separation(rows, seed)
    }
}

/// The rows of a plan of one call that embeds `texts` texts, each with the value that `values` computes for it.
pub(super) fn with_embeddings(
    plan: &Plan,
    replies: &[Result<Reply, Failure>],
    texts: usize,
    values: impl Fn(&[Vec<f32>]) -> Option<Vec<f64>>,
) -> Vec<Row> {
    let found = reply_to(replies, 0).and_then(|reply| match reply {
        Reply::Embed(all) if all.len() == texts && alike(all) => {
            values(all).ok_or_else(|| parse::wrong_kind("an embedding of each text"))
        }
        Reply::Embed(_) | Reply::Chat(_) | Reply::Complete(_) | Reply::ScoreText(_) => {
            Err(parse::wrong_kind("an embedding of each text"))
        }
    });
    let mut rows = plan.rows.clone();
    match found {
        Ok(values) => {
            for (row, value) in rows.iter_mut().zip(values) {
                row.value = Some(value);
            }
        }
        Err(failure) => {
            for row in &mut rows {
                row.failure = Some(failure.clone());
            }
        }
    }
    rows
}

/// Whether all embeddings have one length.
fn alike(all: &[Vec<f32>]) -> bool {
    let width = all.first().map_or(0, Vec::len);
    all.iter().all(|embedding| embedding.len() == width)
}

/// The cosine of embeddings of length 1.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}
