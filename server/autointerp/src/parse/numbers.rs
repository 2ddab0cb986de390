//! Answers in numbers.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{
    Said,
    lists::{last_of, lists},
    not_parsed, wrong_count,
};
use crate::Failure;

/// The `asked` numbers that were said, each within `range`: the last list of that many, where there are several.
pub(crate) fn numbers(
    said: Said<'_>,
    asked: usize,
    range: RangeInclusive<f64>,
) -> Result<Vec<f64>, Failure> {
    let text = said.whole()?;
    let number = |value: &Value| {
        let number = match value {
            Value::Number(number) => number.as_f64()?,
            Value::String(text) => text.trim().parse().ok()?,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        range.contains(&number).then_some(number)
    };
    // Pairs of a token and its number are lists too.
    let pair = |value: &Value| match value {
        Value::Array(pair) => pair.last().and_then(number),
        other => number(other),
    };
    let found = lists(text, &pair);
    let other = found.last().map(|list| list.values.len());
    match last_of(text, found, asked) {
        Some(list) => Ok(list),
        None => Err(other.map_or_else(|| not_parsed(text), |found| wrong_count(found, asked))),
    }
}

#[cfg(test)]
mod tests {
    use latentd_domain::Reason;

    use super::{super::said::tests::said, *};

    #[test]
    fn every_form_is_read() {
        for text in [
            "{\"activations\": [{\"token\": \"a\", \"activation\": 0}, {\"token\": \"b\", \"activation\": 7.5}]}",
            "{\"to_find\": \"x\", \"document\": \"[0\", \"activations\": [{\"token\": \"1\", \"activation\": \"0\"}, {\"token\": \"2\", \"activation\": 7.5}]}",
            "[0, 7.5]",
            "[[\"a\", 0], [\"b\", 7.5]]",
            "Here: {\"activations\": [0, 7.5]}",
            "[{\"a\": 0}, {\"b\": 7.5}]",
            "My first answer: [1, 2]. On reflection, the correct answer is [0, 7.5].",
            "{\"draft\": [1, 2], \"activations\": [0, 7.5]}",
        ] {
            assert_eq!(
                numbers(said(text), 2, 0.0..=10.0),
                Ok(vec![0.0, 7.5]),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_out_of_range_or_number_is_not() {
        let reason = |text: &str| numbers(said(text), 2, 0.0..=10.0).unwrap_err().reason;
        assert_eq!(reason("[0, 11]"), Reason::AnswerNotParsed);
        assert_eq!(reason("[0, -1]"), Reason::AnswerNotParsed);
        assert_eq!(reason("[0, null]"), Reason::AnswerNotParsed);
        assert_eq!(reason("[0, 1, 2]"), Reason::AnswerCount);
        assert_eq!(
            reason("[{\"token\": \"1\", \"activation\": null}, 2]"),
            Reason::AnswerNotParsed
        );
    }
}
