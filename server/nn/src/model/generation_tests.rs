//! Sequences that go on: against what transformers generates, and against themselves computed at once.

use latentd_domain::Dtype;
use proptest::prelude::*;
use serde::Deserialize;

use super::Model;
use crate::{
    device::{Device, host_view},
    error::ComputeError,
    logits::{Answer, Choice, Question},
    packed::PackedTokens,
    past::{Extension, Past},
    weights::golden,
};

/// Largest difference of a log-probability from that of transformers.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Case {
    model: String,
    prompt: Vec<u32>,
    prompt_logprobs: Vec<f64>,
    generated: Vec<Chosen>,
}

#[derive(Deserialize)]
struct Chosen {
    id: u32,
    logprob: f64,
    top: Vec<(u32, f64)>,
}

fn load(name: &str) -> Model {
    let path = golden::path(&format!("models/{name}"));
    Model::load(&path, Dtype::F32, &Device::new(0).unwrap()).unwrap()
}

fn question(row: usize, choice: Choice, top: usize) -> Question {
    Question {
        row,
        choice,
        top,
        allowed: None,
    }
}

fn extend(model: &Model, past: &mut Past, ids: &[u32], questions: &[Question]) -> Vec<Answer> {
    let mut extensions = [Extension {
        past,
        ids,
        questions,
    }];
    let mut answers = model.extend(&mut extensions).unwrap();
    answers.remove(0).into_iter().map(Result::unwrap).collect()
}

#[track_caller]
fn near(found: f32, expected: f64, what: &str) {
    assert!(
        (f64::from(found) - expected).abs() < TOLERANCE,
        "{what}: {found} where transformers has {expected}"
    );
}

#[test]
fn greedy_ids_and_log_probabilities_are_those_of_transformers() {
    let path = golden::path("generation/models.json");
    let cases: Vec<Case> = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    let tiny = |case: &&Case| golden::path(&format!("models/{}", case.model)).is_dir();
    assert_eq!(cases.iter().filter(tiny).count(), 6);
    for case in cases.iter().filter(tiny) {
        let model = load(&case.model);
        let prompt = &case.prompt;
        let mut past = model.past(prompt.len() + case.generated.len());
        let mut questions: Vec<_> = prompt[1..]
            .iter()
            .enumerate()
            .map(|(row, &id)| question(row, Choice::Given(id), 0))
            .collect();
        questions.push(question(prompt.len() - 1, Choice::Likeliest, 5));
        let mut answers = extend(&model, &mut past, prompt, &questions);
        for (answer, &expected) in answers.iter().zip(&case.prompt_logprobs) {
            near(answer.logprob, expected, &case.model);
        }
        let mut next = answers.pop().unwrap();
        for chosen in &case.generated {
            assert_eq!(next.id, chosen.id, "{}", case.model);
            near(next.logprob, chosen.logprob, &case.model);
            for ((id, logprob), (expected_id, expected)) in next.top.iter().zip(&chosen.top) {
                assert_eq!(id, expected_id);
                near(*logprob, *expected, &case.model);
            }
            let ask = [question(0, Choice::Likeliest, 5)];
            next = extend(&model, &mut past, &[next.id], &ask).remove(0);
        }
    }
}

/// The log-probability of each token but the first, from the logits of the whole sequence at once.
fn at_once(model: &Model, ids: &[u32]) -> Vec<Answer> {
    let logits = model.logits(&PackedTokens::new([ids])).unwrap();
    let [_, vocab] = logits.dims();
    let logits = host_view(&logits);
    let rows = logits.values().chunks(vocab).zip(ids.iter().skip(1));
    rows.map(|(row, &id)| crate::logits::answer(row, &question(0, Choice::Given(id), 3)).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the pieces, whatever the neighbours, and begun from another sequence's front or not: the same bits.
    #[test]
    fn pieces_and_neighbours_change_no_bit(
        lengths in prop::collection::vec(2usize..64, 1..5),
        piece in 1usize..40,
        gpt2: bool,
        alike: bool,
    ) {
        let model = load(if gpt2 { "gpt2" } else { "llama" });
        let sequences: Vec<Vec<u32>> = lengths
            .iter()
            .enumerate()
            .map(|(row, &length)| {
                let salt = |i: usize| if alike && i < 9 { 0 } else { row * 17 };
                (0..length).map(|i| ((i * 31 + salt(i)) % 272) as u32).collect()
            })
            .collect();
        let mut found: Vec<Vec<Answer>> = vec![Vec::new(); sequences.len()];
        let mut pasts: Vec<Past> = lengths.iter().map(|&length| model.past(length)).collect();
        // The first goes ahead, so that the others can begin like it.
        let first: Vec<_> = (0..lengths[0] - 1)
            .map(|row| question(row, Choice::Given(sequences[0][row + 1]), 3))
            .collect();
        found[0] = extend(&model, &mut pasts[0], &sequences[0], &first);
        if alike {
            let (first, others) = pasts.split_first_mut().unwrap();
            for ((past, ids), found) in others.iter_mut().zip(&sequences[1..]).zip(&mut found[1..]) {
                let common = past.begin_like(first, ids);
                prop_assert_eq!(common, 9.min(ids.len()).min(first.length()));
                found.extend(at_once(&model, ids).into_iter().take(common));
            }
        }
        while pasts.iter().zip(&lengths).any(|(past, &length)| past.length() < length) {
            let mut questions = Vec::new();
            for (past, ids) in pasts.iter().zip(&sequences) {
                let rows = past.length()..(past.length() + piece).min(ids.len());
                let of_row = |row: usize| {
                    let given = *ids.get(row + 1)?;
                    Some(question(row - rows.start, Choice::Given(given), 3))
                };
                let asked: Vec<_> = rows.clone().filter_map(of_row).collect();
                questions.push((rows, asked));
            }
            let mut extensions: Vec<_> = pasts
                .iter_mut()
                .zip(&questions)
                .zip(&sequences)
                .map(|((past, (rows, questions)), ids)| Extension {
                    past,
                    ids: &ids[rows.clone()],
                    questions,
                })
                .collect();
            for (found, answers) in found.iter_mut().zip(model.extend(&mut extensions).unwrap()) {
                found.extend(answers.into_iter().map(Result::unwrap));
            }
        }
        for (found, ids) in found.iter().zip(&sequences) {
            // A piece that begins behind what was copied has no question to the token before it.
            let expected = at_once(&model, ids);
            prop_assert_eq!(found, &expected);
        }
    }
}

#[test]
fn what_cannot_go_on_changes_nothing() {
    let model = load("llama");
    let mut past = model.past(100);
    extend(&model, &mut past, &[1, 2, 3], &[]);
    let mut attempt = |ids: &[u32], questions: &[Question]| {
        let extension = Extension {
            past: &mut past,
            ids,
            questions,
        };
        model.extend(&mut [extension]).unwrap_err()
    };
    let unknown = ComputeError::UnknownToken {
        id: 272,
        vocab: 272,
    };
    assert_eq!(attempt(&[272], &[]), unknown);
    let given = [question(0, Choice::Given(272), 0)];
    assert_eq!(attempt(&[1], &given), unknown);
    assert!(matches!(
        attempt(&[0; 62], &[]),
        ComputeError::PromptTooLong { tokens: 65, .. }
    ));
    let beyond = [question(1, Choice::Likeliest, 0)];
    assert!(matches!(
        attempt(&[1], &beyond),
        ComputeError::Failed { .. }
    ));
    assert_eq!(past.ids(), [1, 2, 3]);
    let mut small = model.past(2);
    let mut extensions = [Extension {
        past: &mut small,
        ids: &[1, 2, 3],
        questions: &[],
    }];
    assert!(model.extend(&mut extensions).is_err());
    assert!(model.extend(&mut []).unwrap().is_empty());
}
