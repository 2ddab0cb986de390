//! Prompts of simulators (structure after Bills et al. 2023 and neuron_explainer/explanations/simulator.py).

use serde_json::{Value, json};

use super::shots::SHOTS;
use crate::{Message, Shown, render};

/// What stands for an activation that is to be guessed.
pub(crate) const UNKNOWN: &str = "unknown";

/// Highest guess of a simulation by log-probabilities. One digit is one token for every tokenizer; 10 is two for many, and a
/// strong 10 would be read as a 1.
pub(crate) const HIGHEST_DIGIT: u8 = 9;

const TABLE: &str = "\
A latent of a language model fires on some tokens of a text and is silent on the others. You are given an explanation of what a latent fires on. Write a text token by token, each on its own line: the token, a tab, and how strongly the latent fires on it, from 0 to 9. Most values are 0. Where a value is hidden, \"unknown\" stands in its place.";

const JSON: &str = "\
A latent of a language model fires on some tokens of a text and is silent on the others. You are given JSON with an explanation of what a latent fires on, a text, and the tokens of the text without values. Answer with JSON and nothing else: {\"tokens\": [...]} with the same tokens in the same order, and as the value of each how strongly the latent fires on it: a whole number from 0 to 10. Most are 0.";

/// The conversation that a table continues.
pub(crate) fn table_messages(explanation: &str) -> Vec<Message> {
    let mut messages = vec![Message::system(TABLE)];
    for shot in &SHOTS {
        messages.push(Message::user(table_question(shot.explanation)));
        // The first values are hidden, so that values after hidden ones are expected.
        let tables: Vec<String> = shot
            .shown()
            .iter()
            .map(|shown| revealed(shown, 2))
            .collect();
        messages.push(Message::assistant(tables.concat()));
    }
    messages.push(Message::user(table_question(explanation)));
    messages
}

/// A table with all values hidden, and the byte at which each of them stands.
pub(crate) fn hidden_table(tokens: &[String]) -> (String, Vec<usize>) {
    let mut table = "<start>\n".to_owned();
    let mut places = Vec::new();
    for token in tokens {
        table.push_str(&render::line(token));
        table.push('\t');
        places.push(table.len());
        table.push_str(UNKNOWN);
        table.push('\n');
    }
    table.push_str("<end>\n");
    (table, places)
}

/// A table of which the first `hidden` values are hidden.
fn revealed(shown: &Shown, hidden: usize) -> String {
    let mut table = "<start>\n".to_owned();
    for (index, (token, activation)) in shown.tokens.iter().zip(&shown.activations).enumerate() {
        let value = if index < hidden {
            UNKNOWN.to_owned()
        } else {
            render::level(*activation, render::SCALE)
                .min(HIGHEST_DIGIT)
                .to_string()
        };
        table.extend([&render::line(token), "\t", &value, "\n"]);
    }
    table.push_str("<end>\n");
    table
}

fn table_question(explanation: &str) -> String {
    format!("Explanation: {}", render::line(explanation.trim()))
}

/// The conversation that asks for activations in JSON.
pub(crate) fn json_messages(explanation: &str, tokens: &[String]) -> Vec<Message> {
    let mut messages = vec![Message::system(JSON)];
    for shot in &SHOTS {
        let shown = shot.shown();
        let Some(shown) = shown.first() else { continue };
        messages.push(Message::user(json_question(
            shot.explanation,
            &shown.tokens,
        )));
        let values: Vec<Value> = shown
            .tokens
            .iter()
            .zip(&shown.activations)
            .map(|(token, &activation)| {
                let activation = render::level(activation, render::SCALE);
                json!({ "token": render::inert(token), "value": activation })
            })
            .collect();
        messages.push(Message::assistant(json!({ "tokens": values }).to_string()));
    }
    messages.push(Message::user(json_question(explanation, tokens)));
    messages
}

fn json_question(explanation: &str, tokens: &[String]) -> String {
    let values: Vec<Value> = tokens
        .iter()
        .map(|token| json!({ "token": render::inert(token), "value": null }))
        .collect();
    json!({
        "explanation": render::inert(explanation.trim()),
        "text": render::inert(&tokens.concat()),
        "tokens": values,
    })
    .to_string()
}

/// The form of an answer about `tokens` tokens.
pub(crate) fn json_schema(tokens: usize) -> Value {
    json!({
        "additionalProperties": false,
        "properties": {
            "tokens": {
                "items": {
                    "additionalProperties": false,
                    "properties": {
                        "token": { "type": "string" },
                        "value": { "maximum": 10, "minimum": 0, "type": "integer" },
                    },
                    "required": ["token", "value"],
                    "type": "object",
                },
                "maxItems": tokens,
                "minItems": tokens,
                "type": "array",
            },
        },
        "required": ["tokens"],
        "type": "object",
    })
}
