//! Example embedding: are texts on which the latent fires nearer to each other than to other texts, as a sentence encoder sees
//! them? Grades the latent, and needs no explanation.
//!
//! Each text is held out in turn. `value` is its mean cosine to the others on which the latent fires, less that to the others on
//! which it does not; the score is the AUC of texts on which it fires against those on which it does not. (delphi does this
//! for twenty pairs drawn at random, with ten texts of each kind, marked; all of them, once, say more and need no seed. Marks
//! are nothing that encoders know.)

use super::{
    Plan, Scorer,
    embedding::{dot, with_embeddings},
    firing, row, silent,
};
use crate::{
    Call, Embed, Failure, Reply, Row, Skip, Subject,
    stats::{self, Summary},
};

#[derive(Debug)]
pub(super) struct ExampleEmbedding;

impl Scorer for ExampleEmbedding {
    fn prompt_version(&self) -> &'static str {
        "example_embedding/1"
    }

    fn plan(&self, subject: &Subject, _explanation: &str) -> Result<Plan, Skip> {
        let mut texts = Vec::new();
        let mut plan = Plan::default();
        // Of each kind there are others when one is held out.
        for shown in firing(subject, 2)?.iter().chain(silent(subject, 2)?) {
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
        let labels: Vec<bool> = plan
            .rows
            .iter()
            .map(|row| row.label == Some(true))
            .collect();
        with_embeddings(plan, replies, plan.rows.len(), |all| {
            differences(all, &labels)
        })
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::separation(rows, seed)
    }
}

/// For each text, its mean cosine to the others with label `true` less that to the others with label `false`.
fn differences(all: &[Vec<f32>], labels: &[bool]) -> Option<Vec<f64>> {
    // Sums in place of pairs: a mean of cosines is the cosine with the mean.
    let width = all.first().map_or(0, Vec::len);
    let sum = |label: bool| {
        let mut sum = vec![0.0; width];
        for (embedding, _) in all.iter().zip(labels).filter(|(_, of)| **of == label) {
            for (total, value) in sum.iter_mut().zip(embedding) {
                *total += f64::from(*value);
            }
        }
        sum
    };
    let count = |label: bool| labels.iter().filter(|of| **of == label).count();
    let (sums, counts) = ([sum(true), sum(false)], [count(true), count(false)]);
    let value = |(embedding, label): (&Vec<f32>, &bool)| {
        let mean = |of: bool| {
            let [of_true, of_false] = &sums;
            let (sum, count) = if of {
                (of_true, counts[0])
            } else {
                (of_false, counts[1])
            };
            let product: f64 = sum
                .iter()
                .zip(embedding)
                .map(|(a, b)| a * f64::from(*b))
                .sum();
            let own = if of == *label {
                (dot(embedding, embedding), 1)
            } else {
                (0.0, 0)
            };
            let others = count.checked_sub(own.1).filter(|others| *others > 0)?;
            Some((product - own.0) / others as f64)
        };
        Some(mean(true)? - mean(false)?)
    };
    all.iter().zip(labels).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_not_compared_with_itself() {
        let all = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.0, 1.0]].map(Vec::from);
        let values = differences(&all, &[true, true, false, false]).unwrap();
        for (value, expected) in values.iter().zip([0.6, -0.2, -0.6, -0.6]) {
            assert!((value - expected).abs() < 1e-6, "{values:?}");
        }
        assert_eq!(differences(&all[..3], &[true, true, false]), None);
    }
}
