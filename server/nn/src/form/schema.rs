//! From a JSON schema to the pieces of an answer.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Form, Piece};

/// Most values of a bounded integer, which are written out.
const MOST_VALUES: i64 = 10_000;
/// Deepest nesting.
const DEEPEST: usize = 16;
/// Most items of an array that has no bound.
const MOST_ITEMS: usize = 4096;

/// A schema that asks for something that no form can be held to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema has {0}, to which answers cannot be held")]
pub struct UnsupportedSchema(String);

impl Form {
    /// The form of answers that follow a JSON schema.
    ///
    /// # Errors
    ///
    /// [`UnsupportedSchema`], for answers that are then better asked for in words.
    pub fn of_schema(schema: &Value) -> Result<Self, UnsupportedSchema> {
        let mut pieces = Pieces::default();
        pieces.value(schema, 0)?;
        Ok(Self {
            pieces: pieces.finished(),
        })
    }
}

/// Pieces in the making: literals that follow each other become one.
#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
    literal: Vec<u8>,
}

impl Pieces {
    fn literal(&mut self, bytes: &[u8]) {
        self.literal.extend_from_slice(bytes);
    }

    fn push(&mut self, piece: Piece) {
        if !self.literal.is_empty() {
            let literal = std::mem::take(&mut self.literal);
            self.done.push(Piece::Literal(literal.into()));
        }
        self.done.push(piece);
    }

    fn finished(mut self) -> Arc<[Piece]> {
        if !self.literal.is_empty() {
            self.done.push(Piece::Literal(self.literal.into()));
        }
        self.done.into()
    }

    fn value(&mut self, schema: &Value, depth: usize) -> Result<(), UnsupportedSchema> {
        let none = || unsupported("no object that says what it is");
        let schema = schema.as_object().ok_or_else(none)?;
        if depth > DEEPEST {
            return Err(unsupported("very deep nesting"));
        }
        if let Some(known) = schema.get("const") {
            self.literal(written(known).as_bytes());
            return Ok(());
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return self.one_of(values.iter().map(written));
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => self.object(schema, depth),
            Some("array") => self.array(schema, depth),
            Some("string") => {
                self.literal(b"\"");
                self.push(Piece::Text);
                Ok(())
            }
            Some("integer") => self.integer(schema),
            Some("boolean") => self.one_of(["true", "false"].map(str::to_owned)),
            Some("null") => {
                self.literal(b"null");
                Ok(())
            }
            Some(other) => Err(unsupported(format!("the type `{other}`"))),
            None => Err(unsupported("a value of any type")),
        }
    }

    fn one_of(
        &mut self,
        values: impl IntoIterator<Item = String>,
    ) -> Result<(), UnsupportedSchema> {
        let values: Vec<Arc<[u8]>> = values
            .into_iter()
            .map(|value| value.into_bytes().into())
            .collect();
        match values.as_slice() {
            [] => return Err(unsupported("a value of which there is none")),
            [only] => self.literal(only),
            _ => self.push(Piece::OneOf(values.into())),
        }
        Ok(())
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        depth: usize,
    ) -> Result<(), UnsupportedSchema> {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.unwrap_or(&empty);
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.map(Vec::as_slice).unwrap_or_default();
        // The order of `required` is the one that was written; maps may have lost theirs.
        let mut keys: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
        keys.extend(properties.keys().map(String::as_str));
        let mut seen = Vec::with_capacity(keys.len());
        for key in keys {
            if seen.contains(&key) {
                continue;
            }
            self.literal(if seen.is_empty() { b"{" } else { b", " });
            seen.push(key);
            self.literal(written(&key.into()).as_bytes());
            self.literal(b": ");
            let missing = || unsupported(format!("no property `{key}`"));
            self.value(properties.get(key).ok_or_else(missing)?, depth + 1)?;
        }
        self.literal(if seen.is_empty() { b"{}" } else { b"}" });
        Ok(())
    }

    fn array(
        &mut self,
        schema: &Map<String, Value>,
        depth: usize,
    ) -> Result<(), UnsupportedSchema> {
        let bound = |name| schema.get(name).and_then(Value::as_u64);
        let least = bound("minItems").unwrap_or(0) as usize;
        let most = bound("maxItems").map_or(MOST_ITEMS.max(least), |most| most as usize);
        if least > most {
            return Err(unsupported("an array of which there is none"));
        }
        let item = schema.get("items");
        let item = item.ok_or_else(|| unsupported("items of any type"))?;
        let mut pieces = Self::default();
        pieces.value(item, depth + 1)?;
        self.literal(b"[");
        self.push(Piece::Items {
            item: pieces.finished(),
            least,
            most,
        });
        Ok(())
    }

    fn integer(&mut self, schema: &Map<String, Value>) -> Result<(), UnsupportedSchema> {
        let bound = |name| schema.get(name).and_then(Value::as_i64);
        match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) if most.saturating_sub(least) < MOST_VALUES => {
                self.one_of((least..=most).map(|value| value.to_string()))
            }
            _ => Err(unsupported(
                "an integer without bounds, or with very wide ones",
            )),
        }
    }
}

/// A value as it is written.
fn written(value: &Value) -> String {
    value.to_string()
}

fn unsupported(what: impl Into<String>) -> UnsupportedSchema {
    UnsupportedSchema(what.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complete(schema: &Value, text: &str) -> bool {
        let mut reader = Form::of_schema(schema).unwrap().start().reader;
        text.bytes().all(|byte| reader.read(byte)) && reader.is_complete()
    }

    #[test]
    fn forms_take_what_the_schema_says() {
        let judged = json!({
            "type": "object",
            "properties": { "B": { "enum": [0, 1] }, "A": { "enum": [0, 1] } },
            "required": ["B", "A"],
        });
        assert!(complete(&judged, r#"{"B": 0, "A": 1}"#));
        for wrong in [
            r#"{"A": 1, "B": 0}"#,
            r#"{"B": 0}"#,
            r#"{"B":0, "A": 1}"#,
            r#"{"B": 2, "A": 1}"#,
            r#"{"B": 0, "A": 1}}"#,
        ] {
            assert!(!complete(&judged, wrong), "{wrong}");
        }
        let range = json!({ "type": "integer", "minimum": 0, "maximum": 10 });
        assert!(
            ["0", "7", "10", "1"]
                .iter()
                .all(|text| complete(&range, text))
        );
        assert!(
            ["11", "", "01", "-1", "100"]
                .iter()
                .all(|text| !complete(&range, text))
        );
        let list = json!({ "type": "array", "items": range, "minItems": 1, "maxItems": 2 });
        assert!(complete(&list, "[1]") && complete(&list, "[10, 1]"));
        assert!(
            !complete(&list, "[]") && !complete(&list, "[1, 2, 3]") && !complete(&list, "[1,2]")
        );
        let any = json!({ "type": "array", "items": { "type": "string" } });
        assert!(
            complete(&any, "[]")
                && complete(&any, r#"["", "é\n\"\u00e9"]"#.replace('\n', "\\n").as_str())
        );
        assert!(
            !complete(&any, "[\"a\nb\"]")
                && !complete(&any, r#"["\x"]"#)
                && !complete(&any, r#"["\u00g0"]"#)
        );
        assert!(complete(&json!({ "type": "object" }), "{}"));
        assert!(complete(&json!({ "const": "a" }), "\"a\""));
    }

    #[test]
    fn what_cannot_be_held_to_is_said() {
        let schemas = [
            json!({ "type": "number" }),
            json!({ "type": "integer" }),
            json!({ "anyOf": [] }),
            json!({ "enum": [] }),
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": {}, "required": ["a"] }),
            json!(true),
        ];
        for schema in schemas {
            assert!(Form::of_schema(&schema).is_err(), "{schema}");
        }
    }
}
