//! JSON objects in an answer, wherever they stand.

use serde_json::{Map, Value};

/// An object, with the bytes of the text that it takes up.
pub(crate) struct Object {
    /// Where it begins.
    pub(crate) start: usize,
    /// Its fields.
    pub(crate) fields: Map<String, Value>,
}

/// Every object in `text` that stands in no other, in the order of the text.
pub(crate) fn objects(text: &str) -> Vec<Object> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find('{')) {
        let start = from + at;
        from = start + 1;
        let here = text.get(start..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(here).into_iter::<Value>();
        if let Some(Ok(Value::Object(fields))) = values.next() {
            from = start + values.byte_offset();
            found.push(Object { start, fields });
        }
    }
    found
}
