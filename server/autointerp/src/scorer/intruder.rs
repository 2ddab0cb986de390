//! Intruder: which of these texts does not belong? Grades the latent, and needs no explanation (delphi,
//! scorers/classifier/intruder.py).
//!
//! Each prompt shows texts of one quantile with the right marks, and one on which the latent does not fire, with marks after
//! theirs. Quantiles take turns, and every text on which the latent does not fire is an intruder once. There is one row a
//! prompt: `example` is the intruder, `quantile` that of the others, `choice` and `chosen` are positions counted from 0. The
//! score is the share of prompts in which the intruder was found.

use std::collections::BTreeMap;

use latentd_domain::autointerp::ScorerKind;
use rand::{Rng, seq::index};
use rand_chacha::ChaCha8Rng;

use super::{Plan, Scorer, Settings, fill_each, firing, marks::Patterns, rng, row, silent};
use crate::{
    Call, Chat, Failure, Reply, Row, Shown, Skip, Subject, parse,
    prompts::intruder::{messages, schema, texts_in},
    render,
    stats::{self, Summary},
};

/// Texts beside the intruder, at least: of two it cannot be said which does not belong.
const FEWEST: usize = 2;

#[derive(Debug)]
pub(super) struct Intruder(pub(super) Settings);

impl Scorer for Intruder {
    fn prompt_version(&self) -> &'static str {
        "intruder/1"
    }

    fn plan(&self, subject: &Subject, _explanation: &str) -> Result<Plan, Skip> {
        let mut rng = rng(subject, ScorerKind::Intruder);
        let quantiles = quantiles(firing(subject, FEWEST)?);
        let mut plan = Plan::default();
        for (intruder, (quantile, belonging)) in
            silent(subject, 1)?.iter().zip(quantiles.iter().cycle())
        {
            let Some((texts, choice)) = self.texts(intruder, belonging, &mut rng) else {
                continue;
            };
            plan.rows.push(Row {
                quantile: *quantile,
                choice: Some(choice as u32),
                call: plan.calls.len(),
                ..row(intruder)
            });
            plan.calls.push(Call::Chat(Chat {
                messages: messages(&texts),
                temperature: self.0.temperature,
                max_tokens: self.0.room_for(64),
                seed: subject.seed,
                schema: Some(schema(texts.len())),
                top_logprobs: 0,
            }));
        }
        Ok(plan)
    }

    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
        fill_each(&plan.rows, replies, |row, reply| {
            let said = parse::answer(reply)?;
            row.chosen = Some(parse::choice(said, shown_by(plan, row.call))?);
            Ok(())
        })
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::choice(rows, seed)
    }
}

impl Intruder {
    /// The texts of one prompt, and the position of the intruder among them.
    fn texts(
        &self,
        intruder: &Shown,
        belonging: &[&Shown],
        rng: &mut ChaCha8Rng,
    ) -> Option<(Vec<String>, usize)> {
        let count = self
            .0
            .per_prompt
            .saturating_sub(1)
            .max(FEWEST)
            .min(belonging.len());
        let drawn: Vec<Shown> = index::sample(rng, belonging.len(), count)
            .iter()
            .filter_map(|at| belonging.get(at).map(|shown| (*shown).clone()))
            .collect();
        let mut texts: Vec<String> = drawn
            .iter()
            .map(|shown| {
                let marks = render::strong(&shown.activations, self.0.threshold);
                render::marked(&shown.tokens, &marks)
            })
            .collect();
        let patterns = Patterns::of(&drawn, self.0.threshold);
        let marks = patterns.wrong(intruder, self.0.threshold, rng)?;
        let choice = rng.random_range(0..=texts.len());
        texts.insert(choice, render::marked(&intruder.tokens, &marks));
        Some((texts, choice))
    }
}

/// The examples of each quantile that has enough; all of them together if none has.
fn quantiles(firing: &[Shown]) -> Vec<(Option<u32>, Vec<&Shown>)> {
    let mut quantiles: BTreeMap<Option<u32>, Vec<&Shown>> = BTreeMap::new();
    for shown in firing {
        quantiles.entry(shown.quantile).or_default().push(shown);
    }
    quantiles.retain(|_, shown| shown.len() >= FEWEST);
    if quantiles.is_empty() {
        return vec![(None, firing.iter().collect())];
    }
    quantiles.into_iter().collect()
}

/// How many texts a call shows.
fn shown_by(plan: &Plan, call: usize) -> usize {
    match plan.calls.get(call) {
        Some(Call::Chat(chat)) => texts_in(&chat.messages),
        Some(Call::Complete(_) | Call::ScoreText(_) | Call::Embed(_)) | None => 0,
    }
}
