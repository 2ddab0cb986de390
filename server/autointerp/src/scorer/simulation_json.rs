//! Simulation by an answer in JSON: how strongly does the latent fire on each token? For providers without log-probabilities.
//!
//! `truth` is the activation, 10 for the latent's highest in the cache, not rounded; `predicted` is what was answered, from 0
//! to 10. An answer with another number of tokens, or with a value that is none, has failed. (delphi takes it for zeros.)

use latentd_domain::autointerp::Calibration;

use super::{Plan, Scorer, Settings, fill_each, firing, row, simulation::truth};
use crate::{
    Call, Chat, Failure, Reply, Row, Skip, Subject, parse,
    prompts::simulate::{json_messages, json_schema},
    stats::{self, Summary},
};

#[derive(Debug)]
pub(super) struct SimulationJson {
    pub(super) settings: Settings,
    pub(super) calibration: Calibration,
}

impl Scorer for SimulationJson {
    fn prompt_version(&self) -> &'static str {
        "simulation_json/1"
    }

    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip> {
        let mut plan = Plan::default();
        for shown in firing(subject, 1)?.iter().chain(&subject.non_activating) {
            plan.rows.push(Row {
                truth: truth(subject, shown),
                call: plan.calls.len(),
                ..row(shown)
            });
            plan.calls.push(Call::Chat(Chat {
                messages: json_messages(explanation, &shown.tokens),
                temperature: self.settings.temperature,
                // Names, quotes and braces take some fifteen tokens for each.
                max_tokens: self.settings.room_for(64 + 24 * shown.tokens.len()),
                seed: subject.seed,
                schema: Some(json_schema(shown.tokens.len())),
                top_logprobs: 0,
            }));
        }
        Ok(plan)
    }

    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
        fill_each(&plan.rows, replies, |row, reply| {
            let said = parse::answer(reply)?;
            let values = parse::numbers(said, row.truth.len(), 0.0..=10.0)?;
            row.predicted = values.into_iter().map(|value| value as f32).collect();
            Ok(())
        })
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::simulation(rows, self.calibration, seed)
    }
}
