//! Finds the explanation in an answer.

use latentd_domain::Reason;
use serde_json::Value;

use crate::{Failure, Reply, parse, prompts::explain::MARKER};

/// The explanation in an answer: what follows the last marker, or all of an answer of one line that has none.
///
/// An answer of several lines without the marker may be anything, so it is a failure.
pub(super) fn explanation(reply: &Reply) -> Result<String, Failure> {
    let answer = parse::answer(reply)?;
    let text = answer.text.trim();
    let found = marked(text)
        .or_else(|| json(text))
        .or_else(|| one_line(text).filter(|_| !answer.cut_off));
    found
        .map(|found| tidy(&found))
        .filter(|found| found.chars().any(char::is_alphanumeric))
        .ok_or_else(|| {
            let what = if answer.cut_off {
                "the answer became too long before it came to an explanation"
            } else {
                "the answer has no line that begins with [EXPLANATION]:"
            };
            Failure::new(Reason::AnswerNotParsed, what)
        })
}

/// What follows the last marker, up to the next empty line: some models go on with texts of their own making.
fn marked(text: &str) -> Option<String> {
    // Letters keep their length, so that a place in one is the same in the other.
    let lower = text.to_ascii_lowercase();
    let marker = MARKER.to_ascii_lowercase();
    let bare = marker.trim_start_matches('[').replace(']', "");
    let behind = [marker.as_str(), bare.as_str()]
        .into_iter()
        .find_map(|marker| Some(lower.rfind(marker)? + marker.len()))?;
    let rest = text
        .get(behind..)?
        .trim_start_matches(['*', ' ', '\n', '\r']);
    let paragraph = rest.split("\n\n").next()?;
    Some(paragraph.to_owned())
}

/// The field of an answer in JSON.
fn json(text: &str) -> Option<String> {
    let inner = text.trim_start_matches("```json").trim_matches('`');
    let value: Value = serde_json::from_str(inner.trim()).ok()?;
    Some(value.get("explanation")?.as_str()?.to_owned())
}

/// All of an answer that is one line.
fn one_line(text: &str) -> Option<String> {
    (text.lines().count() == 1 && !text.starts_with(['{', '['])).then(|| text.to_owned())
}

/// The explanation on one line, without what some models put around it.
fn tidy(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let line = line.trim_matches('*').trim();
    // Quotes around all of it, not those of words in it.
    let quoted = line
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(inner) if !inner.contains('"') => inner.to_owned(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Answer;

    fn read(text: &str) -> Result<String, Reason> {
        let reply = Reply::Chat(Answer {
            text: text.to_owned(),
            ..Answer::default()
        });
        explanation(&reply).map_err(|failure| failure.reason)
    }

    #[test]
    fn every_form_is_read() {
        for text in [
            "[EXPLANATION]: Units of time.",
            "They are hours.\n\n[EXPLANATION]: Units of time.\n",
            "I think of [EXPLANATION]: first.\n[explanation]: Units\nof time.",
            "**[EXPLANATION]:** Units of time.",
            "[EXPLANATION]: \"Units of time.\"",
            "Explanation: Units of time.\n\nText 1: a << new>> text",
            "{\"explanation\": \"Units of time.\"}",
            "```json\n{\"explanation\": \"Units of time.\"}\n```",
            "Units of time.",
        ] {
            assert_eq!(read(text).as_deref(), Ok("Units of time."), "{text}");
        }
        assert_eq!(
            read("[EXPLANATION]: The token \"er\"").as_deref(),
            Ok("The token \"er\"")
        );
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "  \n",
            "[EXPLANATION]:",
            "Some\nthoughts\nof mine",
            "[EXPLANATION]: ...",
            "{}",
        ] {
            assert_eq!(read(text), Err(Reason::AnswerNotParsed), "{text}");
        }
    }

    #[test]
    fn what_was_declined_or_cut_off_is_no_explanation() {
        let reply = |cut_off, refusal| {
            Reply::Chat(Answer {
                text: "Units of".to_owned(),
                cut_off,
                refusal,
                ..Answer::default()
            })
        };
        let reason = |reply| explanation(&reply).unwrap_err().reason;
        assert_eq!(reason(reply(true, false)), Reason::AnswerNotParsed);
        assert_eq!(reason(reply(false, true)), Reason::AnswerRefused);
        assert_eq!(
            reason(Reply::Embed(Vec::new())),
            Reason::ProviderMalformedReply
        );
    }
}
