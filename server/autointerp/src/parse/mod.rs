//! Reads answers of language models: tolerant in form, strict in number.
//!
//! An answer may be JSON of the schema that was asked for, a list in Python's or nobody's style, a line for each text, or
//! bare numbers, with talk around it. But it holds as many values as were asked for, or it is a failure: a list that is too
//! short says nothing about which text was left out.
//!
//! Thinking is cut off first, in [`answer`], and an answer that ended too early is none. Of several answers the last complete
//! one counts: models revise what they said.

use latentd_domain::Reason;

use crate::Failure;

mod answers;
mod choice;
mod lines;
mod lists;
mod numbers;
mod objects;
mod probability;
mod said;
mod thinking;

pub(crate) use answers::answers;
pub(crate) use choice::choice;
pub(crate) use lists::label;
pub(crate) use numbers::numbers;
pub(crate) use objects::objects;
pub(crate) use probability::probabilities;
pub use said::is_cut_off;
pub(crate) use said::{Said, answer};

/// A reply is not of the kind that was asked for.
pub(crate) fn wrong_kind(asked: &str) -> Failure {
    Failure::new(
        Reason::ProviderMalformedReply,
        format!("{asked} was asked for, something else came"),
    )
}

/// An answer that cannot be read.
fn not_parsed(text: &str) -> Failure {
    Failure::new(Reason::AnswerNotParsed, quote(text))
}

/// An answer of the wrong number.
fn wrong_count(found: usize, asked: usize) -> Failure {
    Failure::new(
        Reason::AnswerCount,
        format!("{found} answers where {asked} were asked for"),
    )
}

/// The beginning of a text, for people.
fn quote(text: &str) -> String {
    const LONGEST: usize = 200;
    if text.trim().is_empty() {
        return "the answer is empty".to_owned();
    }
    let mut quoted: String = text.trim().chars().take(LONGEST).collect();
    if text.trim().chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    format!("“{quoted}”")
}
