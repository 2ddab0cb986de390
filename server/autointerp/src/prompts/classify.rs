//! Prompts of scorers that ask yes or no about each of several texts: detection and fuzzing.

use serde_json::{Map, Value, json};

use super::shots::SHOTS;
use crate::{Message, Shown, parse::label, render};

const DETECTION: &str = "\
You are given an explanation of what a latent of a language model fires on, and texts with letters before them. Decide for each text whether the latent fires anywhere in it, going by the explanation. It may fire in all of the texts, in none, or in some.

Answer with JSON and nothing else: a number after the letter of each text, 1 if the latent fires in the text and 0 if it does not. A line break is written \\n.";

const FUZZING: &str = "\
You are given an explanation of what a latent of a language model fires on, and texts with letters before them. In each text some tokens stand between << and >>. Decide for each text whether the marked tokens are those on which the latent fires, going by the explanation. The marks may be right in all of the texts, in none, or in some; they are wrong if any of them is.

Answer with JSON and nothing else: a number after the letter of each text, 1 if the marks are right and 0 if they are wrong. A line break is written \\n.";

/// Answers about the latents of the prompt: as different as they can be, in number too, for the last prompt is often shorter.
const ORDERS: [&[u8]; 3] = [&[1, 0, 1, 0, 1], &[0, 1, 0, 1], &[0, 1, 1, 0, 1]];

/// Which of the scorers asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Detection,
    Fuzzing,
}

/// The conversation that asks about `texts`.
pub(crate) fn messages(style: Style, explanation: &str, texts: &[&str]) -> Vec<Message> {
    let mut messages = vec![Message::system(match style {
        Style::Detection => DETECTION,
        Style::Fuzzing => FUZZING,
    })];
    for (index, shot) in SHOTS.iter().enumerate() {
        let (texts, answers) = examples(style, index);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        messages.push(Message::user(question(shot.explanation, &texts)));
        messages.push(Message::assistant(answer(&answers)));
    }
    messages.push(Message::user(question(explanation, texts)));
    messages
}

/// The form of an answer about `texts` texts.
///
/// A field for each text, and not a list: a small model loses count of a list, or counts in it.
pub(crate) fn schema(texts: usize) -> Value {
    let labels: Vec<String> = (0..texts).map(label).collect();
    let mut sorted = labels.clone();
    sorted.sort();
    let answer = json!({ "enum": [0, 1], "type": "integer" });
    let fields: Map<String, Value> = sorted
        .into_iter()
        .map(|label| (label, answer.clone()))
        .collect();
    json!({
        "additionalProperties": false,
        "properties": fields,
        "required": labels,
        "type": "object",
    })
}

fn question(explanation: &str, texts: &[&str]) -> String {
    let lines: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| format!("Text {}: {text}", label(index)))
        .collect();
    let count = match texts.len() {
        1 => "1 text, so 1 number.".to_owned(),
        n => format!("{n} texts, so {n} numbers."),
    };
    format!(
        "Explanation: {}\n\n{}\n\n{count}",
        render::line(explanation.trim()),
        lines.join("\n")
    )
}

/// The answer of such a form.
fn answer(answers: &[u8]) -> String {
    let fields: Vec<String> = answers
        .iter()
        .enumerate()
        .map(|(index, answer)| format!("\"{}\": {answer}", label(index)))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// Texts about one of the latents of the prompt, with their answers.
fn examples(style: Style, index: usize) -> (Vec<String>, Vec<u8>) {
    let (Some(shot), Some(order)) = (SHOTS.get(index), ORDERS.get(index)) else {
        return (Vec::new(), Vec::new());
    };
    let text = |shown: &Shown, marks: &[bool]| match style {
        Style::Detection => render::line(&shown.text()),
        Style::Fuzzing => render::marked(&shown.tokens, marks),
    };
    let (firing, silent) = (shot.shown(), shot.contrast());
    let mut right = firing
        .iter()
        .map(|shown| text(shown, &render::strong(&shown.activations, 0.3)));
    let mut wrong = silent.iter().map(|shown| {
        let middle = shown.tokens.len() / 2;
        let marks: Vec<bool> = (0..shown.tokens.len()).map(|at| at == middle).collect();
        text(shown, &marks)
    });
    order
        .iter()
        .filter_map(|&label| {
            let text = if label == 1 {
                right.next()
            } else {
                wrong.next()
            };
            Some((text?, label))
        })
        .unzip()
}
