//! JSON: objects of which one field is the document. The other fields are skipped, not built.
//!
//! With an object on each line ([`each`]) the lines are the documents. In a `.json` file ([`values`]) objects come one after the
//! other or in one array, wherever their lines end.

use std::{fmt, io::Read};

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Texts, lines::Lines, source::Source};
use crate::Error;

/// Field `field` of the object on each line of the source, lines of at most `limit` bytes. A null is an empty text; lines without
/// an object are passed over.
pub(super) fn each(source: Source, field: &str, limit: usize) -> Texts {
    let mut lines = Lines::new(source, limit);
    let field = field.to_owned();
    Box::new(std::iter::from_fn(move || {
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
                    path: lines.source().path().to_owned(),
                    line: Some(line.number),
                    detail,
                }),
            );
        }
    }))
}

/// Field `field` of each object of the source, objects of at most `limit` bytes.
pub(super) fn values(source: Source, field: &str, limit: usize) -> Texts {
    let mut objects = Objects {
        bytes: std::io::BufReader::with_capacity(1 << 16, source),
        limit,
        line: 1,
        in_array: false,
        between: Between::Start,
    };
    let field = field.to_owned();
    Box::new(std::iter::from_fn(move || {
        let next = objects.next().transpose()?;
        Some(next.and_then(|(line, object)| {
            parse(&object, &field).map_err(|detail| objects.malformed(line, detail))
        }))
    }))
}

/// What may come next, outside of objects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    /// The file begins.
    Start,
    /// An object has ended.
    After,
    /// A comma of the array.
    Comma,
    /// The array has ended.
    End,
}

/// Cuts objects out of a file, by brackets and quotes alone; what is in them is looked at by who parses them.
struct Objects {
    bytes: std::io::BufReader<Source>,
    limit: usize,
    line: u64,
    in_array: bool,
    between: Between,
}

impl Objects {
    fn malformed(&self, line: u64, detail: impl Into<String>) -> Error {
        Error::MalformedCorpus {
            path: self.bytes.get_ref().path().to_owned(),
            line: Some(line),
            detail: detail.into(),
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, Error> {
        let mut byte = [0];
        loop {
            match self.bytes.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    let [byte] = byte;
                    self.line += u64::from(byte == b'\n');
                    return Ok(Some(byte));
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.bytes.get_ref().failed(error)),
            }
        }
    }

    /// The next object, and the line on which it begins.
    fn next(&mut self) -> Result<Option<(u64, String)>, Error> {
        loop {
            let Some(byte) = self.byte()? else {
                if self.in_array && self.between != Between::End {
                    return Err(self.malformed(self.line, "the array does not end"));
                }
                return Ok(None);
            };
            match (byte, self.between) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => {}
                // A byte order mark.
                (0xef | 0xbb | 0xbf, Between::Start) if self.line == 1 => {}
                (b'[', Between::Start) if !self.in_array => self.in_array = true,
                (b']', Between::Start | Between::After) if self.in_array => {
                    self.between = Between::End;
                }
                (b',', Between::After) if self.in_array => self.between = Between::Comma,
                (b'{', Between::Start | Between::Comma) => return self.object().map(Some),
                (b'{', Between::After) if !self.in_array => return self.object().map(Some),
                (byte, _) => {
                    let found = char::from(byte).escape_default();
                    let detail = format!("an object is expected, and there is `{found}`");
                    return Err(self.malformed(self.line, detail));
                }
            }
        }
    }

    /// The rest of an object whose bracket was read.
    fn object(&mut self) -> Result<(u64, String), Error> {
        let line = self.line;
        let mut object = vec![b'{'];
        let (mut depth, mut quoted, mut escaped) = (1_usize, false, false);
        while depth > 0 {
            let Some(byte) = self.byte()? else {
                return Err(self.malformed(line, "the object does not end"));
            };
            if object.len() >= self.limit {
                return Err(Error::DocumentTooLarge {
                    path: self.bytes.get_ref().path().to_owned(),
                    line: Some(line),
                    limit: self.limit,
                });
            }
            object.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth -= 1,
                _ => {}
            }
        }
        self.between = Between::After;
        let object = String::from_utf8(object).map_err(|_| Error::CorpusNotUtf8 {
            path: self.bytes.get_ref().path().to_owned(),
            line,
        })?;
        Ok((line, object))
    }
}

fn parse(object: &str, field: &str) -> Result<String, String> {
    let mut json = serde_json::Deserializer::from_str(object);
    let found = Field {
        path: field,
        within: false,
    };
    let found = found
        .deserialize(&mut json)
        .and_then(|found| json.end().map(|()| found));
    match found {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(format!("there is no field `{field}`")),
        // The parser sees one object and calls its first line 1: its own idea of the line would mislead.
        Err(error) => {
            let message = error.to_string();
            let message = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(message, _)| message);
            Err(format!("{message}, at column {}", error.column()))
        }
    }
}

/// Takes one field of an object: the one that is called so, else, behind a dot, one of an object within.
struct Field<'a> {
    path: &'a str,
    /// Whether the object is a field itself.
    within: bool,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a string `{}`", self.path)
    }

    /// An object within that is null holds a null.
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        if self.within {
            Ok(Some(String::new()))
        } else {
            Err(E::invalid_type(de::Unexpected::Unit, &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut named, mut within) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            let rest = self
                .path
                .strip_prefix(key.as_str())
                .and_then(|rest| rest.strip_prefix('.'));
            if key == self.path {
                named = Some(map.next_value::<Option<String>>()?.unwrap_or_default());
            } else if let Some(rest) = rest {
                within = map.next_value_seed(Field {
                    path: rest,
                    within: true,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(named.or(within))
    }
}
