//! Lists in an answer, wherever they stand.

use std::ops::Range;

use serde_json::Value;

/// Fields that hold the value in an object of a list, before any other.
const FIELDS: [&str; 8] = [
    "answer",
    "prediction",
    "label",
    "value",
    "activation",
    "fires",
    "correct",
    "result",
];

/// How one value of a list is read.
pub(super) type Item<'a, T> = &'a dyn Fn(&Value) -> Option<T>;

/// A list in a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List<T> {
    /// The bytes of the text that it takes up.
    pub(super) at: Range<usize>,
    /// Its values.
    pub(super) values: Vec<T>,
}

/// Every list in `text` of which each entry can be read, in the order in which they stand: of JSON, or in brackets in another
/// style.
pub(super) fn lists<T>(text: &str, item: Item<'_, T>) -> Vec<List<T>> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(['{', '['])) {
        let start = from + at;
        let here = text.get(start..).unwrap_or_default();
        let (list, used) = match json(here) {
            Some((value, used)) => (list(&value, item), used),
            None => brackets(here, item).unwrap_or((None, 1)),
        };
        from = start + used;
        found.extend(list.map(|values| List {
            at: start..from,
            values,
        }));
    }
    found
}

/// The list of `asked` values that counts: the last one, unless it only stands in a sentence and others do not, or what is said
/// is that it is wrong.
pub(super) fn last_of<T>(text: &str, mut found: Vec<List<T>>, asked: usize) -> Option<Vec<T>> {
    found.retain(|list| list.values.len() == asked && !is_denied(text, list.at.start));
    let alone = found.iter().rposition(|list| ends_line(text, list.at.end));
    let at = alone.or_else(|| found.len().checked_sub(1))?;
    Some(found.swap_remove(at).values)
}

/// Whether nothing but punctuation follows on the line.
fn ends_line(text: &str, end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    !line.contains(char::is_alphanumeric)
}

/// Whether what begins at `start` is said not to be the answer.
fn is_denied(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let before = before.trim_end_matches(|c: char| !c.is_alphanumeric());
    let before = before.to_lowercase();
    [
        " not",
        "instead of",
        "rather than",
        "previously",
        "formerly",
    ]
    .iter()
    .any(|word| before.ends_with(word))
}

/// The JSON value that `text` begins with, and its length.
fn json(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

/// The list in brackets that `text` begins with, in any style, and its length.
fn brackets<T>(text: &str, item: Item<'_, T>) -> Option<(Option<Vec<T>>, usize)> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    let inner = inner.get(..end)?;
    // What follows the bracket that opens, if another opens before this one closes.
    if !text.get(end + 1..)?.starts_with(']') {
        return None;
    }
    let entries = inner.split([',', ';']).map(str::trim);
    let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
    let read = |entry: &&str| {
        // `Text 3: 1`
        let value = entry.rsplit(':').next().unwrap_or(entry).trim();
        item(&Value::String(value.to_owned()))
    };
    let list: Option<Vec<T>> = entries.iter().map(read).collect();
    Some((list.filter(|list| !list.is_empty()), end + 2))
}

/// The list that a JSON value is or holds.
fn list<T>(value: &Value, item: Item<'_, T>) -> Option<Vec<T>> {
    match value {
        Value::Array(entries) => {
            let list: Option<Vec<T>> = entries.iter().map(|entry| scalar(entry, item)).collect();
            list.filter(|list| !list.is_empty())
        }
        Value::Object(fields) => inner(fields)
            .into_iter()
            .find_map(|value| list(value, item))
            .or_else(|| labelled(fields, item))
            .or_else(|| numbered(fields, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// What an object holds that may be a list: first what is called final, last what is called a draft.
fn inner(fields: &serde_json::Map<String, Value>) -> Vec<&Value> {
    let rank = |name: &str| {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["draft", "first", "initial", "guess", "thought", "reason"]) {
            3
        } else if has(&["final", "correct", "revised"]) {
            0
        } else if has(&["answer", "prediction", "result", "activation"]) {
            1
        } else {
            2
        }
    };
    let mut held: Vec<(u8, &Value)> = fields
        .iter()
        .filter(|(_, value)| value.is_array() || value.is_object())
        .map(|(name, value)| (rank(name), value))
        .collect();
    held.sort_by_key(|(rank, _)| *rank);
    held.into_iter().map(|(_, value)| value).collect()
}

/// The value of one entry of a list: itself, or the field of it that holds one.
fn scalar<T>(entry: &Value, item: Item<'_, T>) -> Option<T> {
    let Value::Object(fields) = entry else {
        return item(entry);
    };
    let named = FIELDS.iter().find_map(|name| fields.get(*name));
    // With one field, whatever its name, there is no doubt.
    let only = fields.values().next().filter(|_| fields.len() == 1);
    named.or(only).and_then(item)
}

/// The letters before the text at `index`: A to Z, then AA, AB and on.
pub(crate) fn label(index: usize) -> String {
    let mut label = String::new();
    let mut rest = index + 1;
    while rest > 0 {
        let letter = b'A' + ((rest - 1) % 26) as u8;
        label.insert(0, char::from(letter));
        rest = (rest - 1) / 26;
    }
    label
}

/// The values of fields that have the letters of texts, whatever other fields say.
fn labelled<T>(fields: &serde_json::Map<String, Value>, item: Item<'_, T>) -> Option<Vec<T>> {
    let is_letter = |name: &&String| {
        let name = name.strip_prefix("Text ").unwrap_or(name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase())
    };
    let value = |index: usize| {
        let label = label(index);
        let field = fields
            .get(&label)
            .or_else(|| fields.get(&format!("Text {label}")));
        scalar(field?, item)
    };
    (0..fields.keys().filter(is_letter).count())
        .map(value)
        .collect::<Option<Vec<T>>>()
        .filter(|list| !list.is_empty())
}

/// The values of fields that are numbered, such as `text_1`, in the order of their numbers.
fn numbered<T>(fields: &serde_json::Map<String, Value>, item: Item<'_, T>) -> Option<Vec<T>> {
    let mut values: Vec<(u32, T)> = Vec::new();
    for (name, value) in fields {
        let name = name.trim_end();
        let digits = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        // A field without a number says something else.
        if let Some(number) = name.get(digits..).and_then(|digits| digits.parse().ok()) {
            values.push((number, scalar(value, item)?));
        }
    }
    values.sort_by_key(|(number, _)| *number);
    let (numbers, values): (Vec<u32>, Vec<T>) = values.into_iter().unzip();
    (consecutive(&numbers) && !values.is_empty()).then_some(values)
}

/// Whether numbers count texts without a gap, from 0 or 1 on.
pub(super) fn consecutive(numbers: &[u32]) -> bool {
    let first = numbers.first().copied().unwrap_or_default();
    first <= 1 && numbers.iter().copied().eq((first..).take(numbers.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_on_after_z() {
        let labels: Vec<String> = [0, 25, 26, 27, 701, 702].map(label).into();
        assert_eq!(labels, ["A", "Z", "AA", "AB", "ZZ", "AAA"]);
    }
}
