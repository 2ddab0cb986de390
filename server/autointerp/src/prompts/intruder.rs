//! Prompt of the intruder scorer.

use serde_json::{Value, json};

use super::shots::{SHOTS, Shot};
use crate::{Message, render};

const SYSTEM: &str = "\
You are given numbered texts with some tokens between << and >>. In all texts but one the marked tokens follow the same pattern, alone or with what stands around them. Find the text that does not belong. There is always exactly one.

Answer with JSON and nothing else: {\"intruder\": n}, where n is the number of the text that does not belong. A line break is written \\n.";

/// The conversation that asks which of `texts` does not belong.
pub(crate) fn messages(texts: &[String]) -> Vec<Message> {
    let mut messages = vec![Message::system(SYSTEM)];
    for (index, shot) in SHOTS.iter().enumerate() {
        let mut texts: Vec<String> = shot
            .shown()
            .iter()
            .map(|shown| render::marked(&shown.tokens, &render::strong(&shown.activations, 0.3)))
            .collect();
        // The intruder is of the next latent, at a different place each time.
        let other = SHOTS.get((index + 1) % SHOTS.len()).map(Shot::shown);
        let place = [1, 2, 0].get(index).copied().unwrap_or(0).min(texts.len());
        if let Some(shown) = other.as_ref().and_then(|shown| shown.first()) {
            let marks = render::strong(&shown.activations, 0.3);
            texts.insert(place, render::marked(&shown.tokens, &marks));
        }
        messages.push(Message::user(question(&texts)));
        messages.push(Message::assistant(
            json!({ "intruder": place + 1 }).to_string(),
        ));
    }
    messages.push(Message::user(question(texts)));
    messages
}

/// How many texts a conversation asks about: each has a line of the last message, and nothing else has one.
pub(crate) fn texts_in(messages: &[Message]) -> usize {
    messages
        .last()
        .map_or(0, |last| last.content.lines().count())
}

/// The form of an answer about `texts` texts.
pub(crate) fn schema(texts: usize) -> Value {
    json!({
        "additionalProperties": false,
        "properties": { "intruder": { "maximum": texts, "minimum": 1, "type": "integer" } },
        "required": ["intruder"],
        "type": "object",
    })
}

fn question(texts: &[String]) -> String {
    let lines: Vec<String> = (1..)
        .zip(texts)
        .map(|(number, text)| format!("Text {number}: {text}"))
        .collect();
    lines.join("\n")
}
