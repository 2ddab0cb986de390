//! Reads answers of language models: tolerant in form, strict in number.
//!
//! An answer may be JSON of the schema that was asked for, a list in Python's or nobody's style, a line for each text, or
//! bare numbers, with talk around it. But it holds as many values as were asked for, or it is a failure: a list that is too
//! short says nothing about which text was left out.

use latentd_domain::Reason;

use crate::{Failure, Reply, call::Answer};

mod answers;
mod choice;
mod lists;
mod numbers;
mod probability;

pub(crate) use answers::answers;
pub(crate) use choice::choice;
pub(crate) use lists::label;
pub(crate) use numbers::numbers;
pub(crate) use probability::probabilities;

/// The answer to a conversation, unless it was declined.
pub(crate) fn answer(reply: &Reply) -> Result<&Answer, Failure> {
    let Reply::Chat(answer) = reply else {
        return Err(wrong_kind("an answer"));
    };
    if answer.refusal {
        return Err(Failure::new(Reason::AnswerRefused, quote(&answer.text)));
    }
    Ok(answer)
}

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
    let mut quoted: String = text.trim().chars().take(LONGEST).collect();
    if text.trim().chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    format!("“{quoted}”")
}
