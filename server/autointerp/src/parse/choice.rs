//! The answer that names one of several.

use serde_json::Value;

use super::not_parsed;
use crate::Failure;

/// What may stand before the number.
const MARKERS: [&str; 3] = ["[response]", "intruder", "answer"];

/// The number from 1 to `options` that `text` names, counted from 0.
///
/// It is that of a JSON object with one number; or the one after the last marker; or the only one that is named at all.
pub(crate) fn choice(text: &str, options: usize) -> Result<u32, Failure> {
    let number = object(text)
        .or_else(|| after_marker(text))
        .or_else(|| only(&figures(text)));
    match number {
        Some(number) if number >= 1 && number as usize <= options => Ok(number - 1),
        _ => Err(not_parsed(text)),
    }
}

/// The number in the first JSON object that holds exactly one.
fn object(text: &str) -> Option<u32> {
    text.match_indices('{').find_map(|(at, _)| {
        let here = text.get(at..)?;
        let mut values = serde_json::Deserializer::from_str(here).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let numbers: Vec<u32> = value.as_object()?.values().filter_map(number).collect();
        only(&numbers)
    })
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(text) => only(&figures(text)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The only number behind the last marker that has one, up to the end of its line.
fn after_marker(text: &str) -> Option<u32> {
    // Letters keep their length, so that a place in one is the same in the other.
    let lower = text.to_ascii_lowercase();
    MARKERS
        .iter()
        .flat_map(|marker| lower.match_indices(marker).map(|(at, _)| at + marker.len()))
        .filter_map(|at| {
            let line = lower.get(at..)?.lines().next()?;
            Some((at, only(&figures(line))?))
        })
        .max_by_key(|(at, _)| *at)
        .map(|(_, number)| number)
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
    use super::*;

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
        ] {
            assert_eq!(choice(text, 5), Ok(2), "{text}");
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
            assert!(choice(text, 5).is_err(), "{text}");
        }
    }
}
