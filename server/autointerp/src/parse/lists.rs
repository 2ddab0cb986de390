//! Lists in an answer, wherever they stand.

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

/// Every list in `text` of which each entry can be read, in the order in which they stand: of JSON, or in brackets in another
/// style.
pub(super) fn lists<T>(text: &str, item: Item<'_, T>) -> Vec<Vec<T>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '[']) {
        let here = rest.get(at..).unwrap_or_default();
        let (list, used) = match json(here) {
            Some((value, used)) => (list(&value, item), used),
            None => brackets(here, item).unwrap_or((None, 1)),
        };
        found.extend(list);
        rest = here.get(used..).unwrap_or_default();
    }
    found
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
        Value::Object(fields) => fields
            .values()
            .filter(|value| value.is_array() || value.is_object())
            .find_map(|value| list(value, item))
            .or_else(|| labelled(fields, item))
            .or_else(|| numbered(fields, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
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

/// The values of fields that have the letters of texts, and nothing else.
fn labelled<T>(fields: &serde_json::Map<String, Value>, item: Item<'_, T>) -> Option<Vec<T>> {
    let value = |index: usize| {
        let label = label(index);
        let field = fields
            .get(&label)
            .or_else(|| fields.get(&format!("Text {label}")));
        scalar(field?, item)
    };
    (0..fields.len())
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
