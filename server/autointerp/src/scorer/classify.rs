//! What detection and fuzzing have in common: texts in random order, some to a prompt, and yes or no about each.
//!
//! The last prompt may hold fewer texts than the others. Rows get `label`, `prediction` and, where the provider gives
//! log-probabilities, `probability`.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Plan, Settings, reply_to};
use crate::{
    Call, Chat, Failure, Reply, Row, Subject, parse,
    prompts::classify::{Style, messages, schema},
};

/// Alternatives to each token: 0 and 1 are nearly always among so many.
const TOP_LOGPROBS: u8 = 5;

/// A text to ask about.
pub(super) struct Item {
    pub(super) text: String,
    pub(super) row: Row,
}

/// Asks about `items`.
pub(super) fn plan(
    (style, settings): (Style, &Settings),
    (subject, explanation): (&Subject, &str),
    mut items: Vec<Item>,
    mut rng: ChaCha8Rng,
) -> Plan {
    items.shuffle(&mut rng);
    let mut plan = Plan::default();
    for prompt in items.chunks(settings.per_prompt) {
        let texts: Vec<&str> = prompt.iter().map(|item| item.text.as_str()).collect();
        let call = plan.calls.len();
        plan.calls.push(Call::Chat(Chat {
            messages: messages(style, explanation, &texts),
            temperature: settings.temperature,
            // The list, with room for a remark before it.
            max_tokens: settings.room_for(64 + 10 * texts.len()),
            seed: subject.seed,
            schema: Some(schema(texts.len())),
            top_logprobs: TOP_LOGPROBS,
        }));
        plan.rows.extend(prompt.iter().map(|item| Row {
            call,
            ..item.row.clone()
        }));
    }
    plan
}

/// Reads the answers.
pub(super) fn read(plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
    let mut rows = plan.rows.clone();
    for prompt in rows.chunk_by_mut(|a, b| a.call == b.call) {
        let call = prompt.first().map_or(0, |row| row.call);
        match reply_to(replies, call).and_then(|reply| answers(reply, prompt.len())) {
            Ok(answers) => {
                for (row, (prediction, probability)) in prompt.iter_mut().zip(answers) {
                    row.prediction = Some(prediction);
                    row.probability = probability;
                }
            }
            Err(failure) => {
                for row in prompt {
                    row.failure = Some(failure.clone());
                }
            }
        }
    }
    rows
}

/// The answers in a reply, with their probabilities where they are known.
fn answers(reply: &Reply, asked: usize) -> Result<Vec<(bool, Option<f32>)>, Failure> {
    let said = parse::answer(reply)?;
    let answers = parse::answers(said, asked)?;
    let probabilities = parse::probabilities(said.tokens, &answers);
    let probability = |at: usize| probabilities.as_ref().and_then(|all| all.get(at).copied());
    Ok(answers
        .into_iter()
        .enumerate()
        .map(|(at, answer)| (answer, probability(at)))
        .collect())
}
