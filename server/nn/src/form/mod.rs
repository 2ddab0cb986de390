//! Answers of a given form: JSON of a schema, held to it token by token.
//!
//! A schema becomes a [`Form`], a row of pieces that an answer consists of. [`Form::start`] reads an answer byte by byte, and says
//! at each place which tokens may come next. Of JSON it takes the one spelling that language models write most: a space behind
//! commas and colons, keys in the schema's order, nothing else between them.
//!
//! Of schemas it knows what questions for judgements need: objects with all their properties, arrays, strings, booleans,
//! integers with bounds, and enumerations.

mod reader;
mod schema;

use std::sync::Arc;

use crate::tokenizer::Tokenizer;
use reader::Reader;

pub use schema::UnsupportedSchema;

/// What an answer consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    pieces: Arc<[Piece]>,
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// These bytes.
    Literal(Arc<[u8]>),
    /// One of these; none is empty.
    OneOf(Arc<[Arc<[u8]>]>),
    /// What lies between the quotes of a string, and the second quote.
    Text,
    /// What lies between the brackets of an array, and the second bracket.
    Items {
        item: Arc<[Piece]>,
        least: usize,
        most: usize,
    },
}

impl Form {
    /// An answer that has not begun.
    pub fn start(&self) -> Progress {
        Progress {
            reader: Reader::new(&self.pieces),
        }
    }
}

/// How far an answer is.
#[derive(Clone, Debug)]
pub struct Progress {
    reader: Reader,
}

/// Tokens that may come next: a bit for each id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    bits: Vec<u64>,
}

impl Allowed {
    fn none(vocab: usize) -> Self {
        Self {
            bits: vec![0; vocab.div_ceil(64)],
        }
    }

    fn allow(&mut self, id: u32) {
        if let Some(bits) = self.bits.get_mut(id as usize / 64) {
            *bits |= 1 << (id % 64);
        }
    }

    /// Whether this token may come next.
    pub fn has(&self, id: u32) -> bool {
        let bits = self.bits.get(id as usize / 64);
        bits.is_some_and(|bits| bits >> (id % 64) & 1 == 1)
    }

    /// Whether no token may.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|&bits| bits == 0)
    }
}

impl Progress {
    /// The tokens that may come next; when the answer is complete, those that end it.
    pub fn allowed(&self, tokenizer: &Tokenizer) -> Allowed {
        let mut allowed = Allowed::none(tokenizer.vocab());
        if self.reader.is_complete() {
            tokenizer.ends().iter().for_each(|&id| allowed.allow(id));
        }
        for (first, ids) in tokenizer.ids_by_first_byte().iter().enumerate() {
            let mut reader = self.reader.clone();
            if !reader.read(first as u8) {
                continue;
            }
            for &id in ids {
                let rest = tokenizer.token_text(id).as_bytes().get(1..);
                if rest.is_some_and(|rest| reader.takes(rest)) {
                    allowed.allow(id);
                }
            }
        }
        allowed
    }

    /// Whether the answer is complete, and nothing can come behind it.
    pub fn is_over(&self) -> bool {
        self.reader.is_over()
    }

    /// The answer goes on with this token. False if it must not.
    pub fn advance(&mut self, tokenizer: &Tokenizer, id: u32) -> bool {
        tokenizer
            .token_text(id)
            .bytes()
            .all(|byte| self.reader.read(byte))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::weights::{ModelFiles, golden};

    /// A random answer, token by token: whatever is drawn from what is allowed ends as JSON of the schema.
    #[test]
    fn any_allowed_tokens_make_the_form() {
        let tokenizer = ModelFiles::open(&golden::path("models/llama")).unwrap();
        let tokenizer = tokenizer.tokenizer;
        let schema = json!({
            "type": "object",
            "properties": {
                "B": { "type": "integer", "enum": [0, 1] },
                "A": { "type": "integer", "minimum": 8, "maximum": 12 },
                "list": { "type": "array", "minItems": 2, "maxItems": 3, "items": {
                    "type": "object",
                    "properties": { "t": { "type": "string" }, "ok": { "type": "boolean" } },
                    "required": ["t", "ok"],
                } },
            },
            "required": ["B", "A", "list"],
        });
        let form = Form::of_schema(&schema).unwrap();
        let mut state = 1u64;
        for _ in 0..50 {
            let mut progress = form.start();
            let mut text = String::new();
            loop {
                let allowed = progress.allowed(&tokenizer);
                let ids: Vec<u32> = (0..272).filter(|&id| allowed.has(id)).collect();
                assert!(!ids.is_empty(), "nothing can follow {text}");
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // Strings end sooner when their end is taken wherever it can be.
                let quote = ids.iter().find(|&&id| tokenizer.token_text(id) == "\"");
                let drawn = ids[(state >> 33) as usize % ids.len()];
                let id = *quote.filter(|_| state >> 62 == 0).unwrap_or(&drawn);
                if tokenizer.ends().contains(&id) {
                    break;
                }
                assert!(progress.advance(&tokenizer, id), "{text}");
                text += tokenizer.token_text(id);
                if progress.is_over() {
                    break;
                }
            }
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(value["B"].as_u64().unwrap() < 2);
            assert!((8..=12).contains(&value["A"].as_u64().unwrap()));
            let list = value["list"].as_array().unwrap();
            assert!((2..=3).contains(&list.len()));
            assert!(
                list.iter()
                    .all(|one| one["t"].is_string() && one["ok"].is_boolean())
            );
        }
    }
}
