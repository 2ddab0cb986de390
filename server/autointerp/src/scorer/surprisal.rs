//! Surprisal: is a text less surprising with the explanation? (delphi's surprisal, scorers/surprisal.)
//!
//! Each text is asked about twice: behind a page that ends with a description of texts of any kind, and behind one that ends
//! with the explanation. `truth` is the loss of each token in the former, `predicted` in the latter, `value` the fall of the
//! mean loss, in nats a token. The score is the AUC of `value` of texts on which the latent fires against the others.
//!
//! The calls of row `i` are `2 i` and `2 i + 1`; that of the row is the second. The first is the same for all explanations of
//! a latent, so it is answered once.

use latentd_domain::Reason;

use super::{Plan, Scorer, fill_each, firing, reply_to, row, silent};
use crate::{
    Call, Failure, Reply, Row, ScoreText, Skip, Subject,
    call::Context,
    parse,
    prompts::surprise::{NO_EXPLANATION, context},
    stats::{self, Summary},
};

#[derive(Debug)]
pub(super) struct Surprisal;

impl Scorer for Surprisal {
    fn prompt_version(&self) -> &'static str {
        "surprisal/1"
    }

    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip> {
        let mut plan = Plan::default();
        let pages = [NO_EXPLANATION, explanation].map(context);
        for shown in firing(subject, 1)?.iter().chain(silent(subject, 1)?) {
            for page in &pages {
                plan.calls.push(Call::ScoreText(ScoreText {
                    context: Context::Text(page.clone()),
                    text: shown.text(),
                    top: 0,
                }));
            }
            plan.rows.push(Row {
                label: Some(shown.fires()),
                call: plan.calls.len() - 1,
                ..row(shown)
            });
        }
        Ok(plan)
    }

    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
        fill_each(&plan.rows, replies, |row, with| {
            let without = reply_to(replies, row.call.saturating_sub(1))?;
            let (without, with) = (losses(without)?, losses(with)?);
            if without.len() != with.len() || with.is_empty() {
                return Err(Failure::new(
                    Reason::ProviderMalformedReply,
                    format!(
                        "{} tokens without and {} with the explanation",
                        without.len(),
                        with.len()
                    ),
                ));
            }
            row.value = Some(mean(&without) - mean(&with));
            (row.truth, row.predicted) = (without, with);
            Ok(())
        })
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::separation(rows, seed)
    }
}

/// The loss of each token.
fn losses(reply: &Reply) -> Result<Vec<f32>, Failure> {
    match reply {
        Reply::ScoreText(tokens) => Ok(tokens.iter().map(|token| -token.logprob).collect()),
        Reply::Chat(_) | Reply::Complete(_) | Reply::Embed(_) => {
            Err(parse::wrong_kind("log-probabilities of a text"))
        }
    }
}

fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
}
