//! Printed measurements: JSON for scripts, aligned names and values for people.

use std::io::Write;

use serde_json::{Map, Value};

/// Where measurements go.
pub(super) struct Lines {
    /// One JSON object a line.
    pub(super) json: bool,
}

impl Lines {
    /// Prints one measurement. `fields` is a JSON object.
    pub(super) fn emit(&self, fields: Value) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            let mut object = Map::from_iter([("system".to_owned(), Value::from("latentd"))]);
            if let Value::Object(fields) = fields {
                object.extend(fields);
            }
            writeln!(out, "{}", Value::Object(object))?;
        } else if let Value::Object(fields) = fields {
            let parts: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name} {}", show(value)))
                .collect();
            writeln!(out, "{}", parts.join("  "))?;
        }
        Ok(())
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            format!("{:.3}", number.as_f64().unwrap_or_default())
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
