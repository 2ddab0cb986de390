//! GGUF metadata: typed values by key. Arrays stay where they are in the file and are read when asked for, so that what a
//! file claims about their length costs nothing.

use std::{collections::BTreeMap, ops::Range};

use super::cursor::Cursor;

/// Most entries that are read.
const MAX_ENTRIES: u64 = 1 << 16;

/// A value, in the widest type of its kind.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    String(String),
    Array {
        element: Element,
        count: u64,
        span: Range<usize>,
    },
}

/// The type of a value, by its number in `enum gguf_metadata_value_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl Element {
    fn from_number(number: u32) -> Result<Self, String> {
        Ok(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            other => return Err(format!("the value type {other} is not known")),
        })
    }

    /// Bytes of one value, if all have the same number.
    fn width(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }

    fn read(self, cursor: &mut Cursor<'_>) -> Result<Value, String> {
        Ok(match self {
            Self::U8 => Value::Unsigned(cursor.u8()?.into()),
            Self::I8 => Value::Signed((cursor.u8()? as i8).into()),
            Self::U16 => Value::Unsigned(cursor.u16()?.into()),
            Self::I16 => Value::Signed((cursor.u16()? as i16).into()),
            Self::U32 => Value::Unsigned(cursor.u32()?.into()),
            Self::I32 => Value::Signed((cursor.u32()? as i32).into()),
            Self::F32 => Value::Float(f32::from_bits(cursor.u32()?).into()),
            Self::Bool => Value::Bool(cursor.u8()? != 0),
            Self::String => Value::String(cursor.string()?.to_owned()),
            Self::U64 => Value::Unsigned(cursor.u64()?),
            Self::I64 => Value::Signed(cursor.u64()? as i64),
            Self::F64 => Value::Float(f64::from_bits(cursor.u64()?)),
            Self::Array => {
                let element = Self::from_number(cursor.u32()?)?;
                let count = cursor.u64()?;
                let start = cursor.at();
                match element.width() {
                    Some(width) => {
                        let bytes = count
                            .checked_mul(width)
                            .ok_or_else(|| "an array is too long".to_owned())?;
                        cursor.skip(bytes)?;
                    }
                    None if element == Self::String => {
                        for _ in 0..count {
                            cursor.skip_string()?;
                        }
                    }
                    None => return Err("an array of arrays is not supported".to_owned()),
                }
                Value::Array {
                    element,
                    count,
                    span: start..cursor.at(),
                }
            }
        })
    }
}

/// The metadata of one file.
#[derive(Debug)]
pub(crate) struct Metadata {
    entries: BTreeMap<String, Value>,
}

impl Metadata {
    /// Reads `count` entries.
    pub(super) fn read(cursor: &mut Cursor<'_>, count: u64) -> Result<Self, String> {
        if count > MAX_ENTRIES {
            return Err(format!(
                "it declares {count} entries of metadata, over the limit of {MAX_ENTRIES}"
            ));
        }
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let key = cursor.string()?.to_owned();
            let element = Element::from_number(cursor.u32()?)?;
            let value = element
                .read(cursor)
                .map_err(|detail| format!("the metadata `{key}`: {detail}"))?;
            if entries.contains_key(&key) {
                return Err(format!("the metadata `{key}` is there twice"));
            }
            entries.insert(key, value);
        }
        Ok(Self { entries })
    }

    /// A whole number that is not negative.
    pub(crate) fn unsigned(&self, key: &str) -> Option<u64> {
        match self.entries.get(key)? {
            Value::Unsigned(value) => Some(*value),
            Value::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A number.
    pub(crate) fn float(&self, key: &str) -> Option<f64> {
        match self.entries.get(key)? {
            Value::Float(value) => Some(*value),
            Value::Unsigned(value) => Some(*value as f64),
            Value::Signed(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// Yes or no.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.entries.get(key)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A string.
    pub(crate) fn string(&self, key: &str) -> Option<&str> {
        match self.entries.get(key)? {
            Value::String(value) => Some(value),
            _ => None,
        }
    }

    /// The strings of an array; `None` if the key is absent or is something else. `file` is the whole file.
    pub(crate) fn strings<'a>(
        &self,
        file: &'a [u8],
        key: &str,
    ) -> Option<Result<Vec<&'a str>, String>> {
        let Value::Array {
            element: Element::String,
            count,
            span,
        } = self.entries.get(key)?
        else {
            return None;
        };
        let mut cursor = Cursor::new(file, span.start);
        Some((0..*count).map(|_| cursor.string()).collect())
    }

    /// The whole numbers of an array of 32-bit ones; `None` if the key is absent or is something else.
    pub(crate) fn integers(&self, file: &[u8], key: &str) -> Option<Vec<i32>> {
        self.words(file, key, &[Element::I32, Element::U32])
            .map(|words| words.iter().map(|&word| i32::from_le_bytes(word)).collect())
    }

    /// The numbers of an array of 32-bit ones; `None` if the key is absent or is something else.
    pub(crate) fn floats(&self, file: &[u8], key: &str) -> Option<Vec<f32>> {
        self.words(file, key, &[Element::F32])
            .map(|words| words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }

    fn words<'a>(&self, file: &'a [u8], key: &str, types: &[Element]) -> Option<&'a [[u8; 4]]> {
        match self.entries.get(key)? {
            Value::Array { element, span, .. } if types.contains(element) => {
                file.get(span.clone()).map(|bytes| bytes.as_chunks().0)
            }
            _ => None,
        }
    }
}
