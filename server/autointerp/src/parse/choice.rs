//! The answer that names one of several.

use serde_json::{Map, Value};

use super::{Said, not_parsed, objects};
use crate::Failure;

/// What may stand before the number.
const MARKERS: [&str; 3] = ["[response]", "intruder", "answer"];

/// The number from 1 to `options` that was said, counted from 0.
///
/// It is that of a JSON object with one number, or the one after a marker: the last of them, where there are several; or the
/// only one that is named at all.
pub(crate) fn choice(said: Said<'_>, options: usize) -> Result<u32, Failure> {
    let text = said.whole()?;
    let text = before_more_texts(text);
    let number = last_named(text).or_else(|| only(&figures(text)));
    match number {
        Some(number) if number >= 1 && number as usize <= options => Ok(number - 1),
        _ => Err(not_parsed(text)),
    }
}

/// A text up to where a model that goes on writes a question of its own: texts with marks, one behind the other.
fn before_more_texts(text: &str) -> &str {
    let is_text = |line: &str| line.starts_with("Text ") && line.contains("<<");
    let mut at = 0;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if at > 0 && is_text(line) && lines.peek().is_some_and(|next| is_text(next)) {
            return text.get(..at).unwrap_or(text);
        }
        at += line.len();
    }
    text
}

/// The number that stands last of those in objects and after markers.
fn last_named(text: &str) -> Option<u32> {
    let in_objects = objects(text)
        .into_iter()
        .filter_map(|object| Some((object.start, of_fields(&object.fields)?)));
    in_objects
        .chain(after_markers(text))
        .max_by_key(|(at, _)| *at)
        .map(|(_, number)| number)
}

/// The number in an object that holds exactly one; or the one that a marker names.
fn of_fields(fields: &Map<String, Value>) -> Option<u32> {
    let named = fields.get("intruder").or_else(|| fields.get("answer"));
    if let Some(number) = named.and_then(number) {
        return Some(number);
    }
    let numbers: Vec<u32> = fields.values().filter_map(number).collect();
    only(&numbers)
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(text) => only(&figures(text)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The only number behind each marker that has one, up to the end of its line or to the next marker, with its place.
fn after_markers(text: &str) -> Vec<(usize, u32)> {
    // Letters keep their length, so that a place in one is the same in the other.
    let lower = text.to_ascii_lowercase();
    let mut places: Vec<(usize, usize)> = MARKERS
        .iter()
        .flat_map(|marker| {
            lower
                .match_indices(marker)
                .map(|(at, _)| (at, marker.len()))
        })
        .collect();
    places.sort_unstable();
    let ends = places.iter().skip(1).map(|(at, _)| *at);
    places
        .iter()
        .zip(ends.chain([lower.len()]))
        .filter_map(|((at, length), end)| {
            let line = lower.get(at + length..end)?.lines().next()?;
            Some((*at, only(&figures(line))?))
        })
        .collect()
}

/// The whole numbers in a text.
fn figures(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// The number that all of `numbers` are.
fn only(numbers: &[u32]) -> Option<u32> {
    let first = numbers.first()?;
    numbers
        .iter()
        .all(|number| number == first)
        .then_some(*first)
}

#[cfg(test)]
mod tests {
    use super::{super::said::tests::said, *};

    #[test]
    fn every_form_is_read() {
        for text in [
            "{\"intruder\": 3}",
            "{\"reason\": \"1 and 2 are alike\", \"intruder\": 3}",
            "```json\n{\"intruder\": \"Text 3\"}\n```",
            "[RESPONSE]: 3",
            "Texts 1 and 2 are of birds. [RESPONSE]: 3",
            "3",
            "Text 3",
            "Texts 1, 2 and 4 are alike.\nThe intruder is text 3.",
            "The answer is 3.",
            "**Intruder:** 3",
            "My first answer: 2. On reflection, the correct answer is 3.",
            "{\"intruder\": 2}\n\nWait, that is wrong.\n\n{\"intruder\": 3}",
            "{\"intruder\": 2}\nOn reflection, the intruder is text 3.",
            "{\"intruder\": 3, \"confidence\": 9}",
            "{\"intruder\": 3}\n\nText 1: a <<b>>\nText 2: c <<d>>\n{\"intruder\": 1}",
        ] {
            assert_eq!(choice(said(text), 5), Ok(2), "{text}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "none",
            "0",
            "6",
            "1 or 2",
            "{\"intruder\": 9}",
            "intruder: 1 or 2",
        ] {
            assert!(choice(said(text), 5).is_err(), "{text}");
        }
    }
}
