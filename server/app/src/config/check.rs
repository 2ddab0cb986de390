//! Whether one value is what its setting accepts, said in words.

use toml::Value;

/// What a setting accepts.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in a range, ends included.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A finite number.
    Float,
    /// Text that the function accepts.
    Text(fn(&str) -> Result<(), String>),
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Turns the text of a variable or flag into a value of this kind; what does not fit stays text, for [`Kind::check`].
    pub(super) fn value_of(self, text: &str) -> Value {
        let string = || Value::String(text.to_owned());
        match self {
            Kind::Bool => match text {
                "true" | "1" => Value::Boolean(true),
                "false" | "0" => Value::Boolean(false),
                _ => string(),
            },
            Kind::Int { .. } => text.parse().map_or_else(|_| string(), Value::Integer),
            Kind::Float => text.parse().map_or_else(|_| string(), Value::Float),
            Kind::Text(_) | Kind::Choice(_) => string(),
        }
    }

    /// What is wrong with `value`, if anything.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Kind::Bool, Value::Boolean(_)) | (Kind::Float, Value::Integer(_)) => Ok(()),
            (Kind::Int { min, max }, Value::Integer(number)) if (min..=max).contains(number) => {
                Ok(())
            }
            (Kind::Float, Value::Float(number)) if number.is_finite() => Ok(()),
            (Kind::Text(accept), Value::String(text)) => accept(text),
            (Kind::Choice(words), Value::String(text)) if words.contains(&text.as_str()) => Ok(()),
            (kind, value) => Err(format!(
                "expects {}, got {}",
                kind.expectation(),
                show(value)
            )),
        }
    }

    fn expectation(self) -> String {
        match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Int { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Float => "a finite number".to_owned(),
            Kind::Text(_) => "text".to_owned(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => value.to_string(),
    }
}
