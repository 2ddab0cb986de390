//! JSON lines: one object on each line, of which one field is the document. The other fields are skipped, not built.

use std::{fmt, path::Path};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Texts, lines::Lines};
use crate::Error;

/// Field `field` of the object on each line of the file, lines of at most `limit` bytes. A null is an empty text;
/// lines without an object are passed over.
pub(super) fn each(path: &Path, field: &str, limit: usize) -> Result<Texts, Error> {
    let mut lines = Lines::open(path, limit)?;
    let field = field.to_owned();
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            let line = match lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if line.text.trim().is_empty() {
                continue;
            }
            return Some(
                parse(&line.text, &field).map_err(|detail| Error::MalformedCorpus {
                    path: lines.path().to_owned(),
                    line: Some(line.number),
                    detail,
                }),
            );
        }
    })))
}

fn parse(line: &str, field: &str) -> Result<String, String> {
    let mut json = serde_json::Deserializer::from_str(line);
    let found = Field(field)
        .deserialize(&mut json)
        .and_then(|found| json.end().map(|()| found));
    match found {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(format!("there is no field `{field}`")),
        // The parser sees one line and calls it line 1: its own idea of the line would mislead.
        Err(error) => {
            let message = error.to_string();
            let message = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(message, _)| message);
            Err(format!("{message}, at column {}", error.column()))
        }
    }
}

/// Takes one field of an object.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a string `{}`", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                found = Some(map.next_value::<Option<String>>()?.unwrap_or_default());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}
