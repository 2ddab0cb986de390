//! GGUF metadata: typed values by key. Arrays stay where they are in the file and are read when asked for, so that what a
//! file claims about their length costs nothing.

use std::{collections::BTreeMap, fmt, ops::Range};

use super::cursor::Cursor;

/// Most entries that are read.
const MAX_ENTRIES: u64 = 1 << 16;

/// A value, in the widest type of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
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

impl Value {
    fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A number, of whatever type.
    pub(crate) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Signed(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// Whether it switches something off: false, 0, or nothing.
    pub(crate) fn is_off(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::String(value) => value.is_empty(),
            Self::Array { count, .. } => *count == 0,
            _ => self.float() == Some(0.0),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "the string `{value:.60}`"),
            Self::Array { count, .. } => write!(f, "an array of {count}"),
        }
    }
}

/// The type of a value, by its number in `enum gguf_metadata_value_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
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
    pub(crate) fn unsigned(&self, key: &str) -> Result<Option<u64>, String> {
        self.typed(key, "a whole number", Value::unsigned)
    }

    /// A number.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f64>, String> {
        self.typed(key, "a number", Value::float)
    }

    /// Yes or no.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.typed(key, "true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    /// A string.
    pub(crate) fn string(&self, key: &str) -> Result<Option<&str>, String> {
        self.typed(key, "a string", |value| match value {
            Value::String(value) => Some(value.as_str()),
            _ => None,
        })
    }

    /// A value of one type; `None` if the key is absent, and a refusal that names the key if it is something else.
    fn typed<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.entries.get(key) else {
            return Ok(None);
        };
        match convert(value) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("`{key}` is {value}, where {kind} is needed")),
        }
    }

    /// A whole number for each of `layers` layers, written once or as an array. `file` is the whole file.
    pub(super) fn of_layers(
        &self,
        file: &[u8],
        key: &str,
        layers: u64,
    ) -> Result<Option<Vec<u64>>, String> {
        let Some(Value::Array {
            element,
            count,
            span,
        }) = self.entries.get(key)
        else {
            return Ok(self.unsigned(key)?.map(|value| vec![value]));
        };
        if *count != layers || *element == Element::Array {
            return Err(format!(
                "`{key}` is an array of {count}, where one number or {layers} are needed"
            ));
        }
        let mut cursor = Cursor::new(file, span.start);
        let number = |_| {
            let value = element.read(&mut cursor)?;
            value
                .unsigned()
                .ok_or_else(|| format!("`{key}` holds {value}, where whole numbers are needed"))
        };
        (0..layers).map(number).collect::<Result<_, _>>().map(Some)
    }

    /// Whether a key is there, whatever its value.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The keys that begin with `prefix`, without it, and what they hold in words.
    pub(crate) fn under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.entries
            .iter()
            .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value)))
    }

    /// The strings of an array; `None` if the key is absent. `file` is the whole file.
    pub(crate) fn strings<'a>(
        &self,
        file: &'a [u8],
        key: &str,
    ) -> Result<Option<Vec<&'a str>>, String> {
        let array = self.typed(key, "an array of strings", |value| match value {
            Value::Array {
                element: Element::String,
                count,
                span,
            } => Some((*count, span.start)),
            _ => None,
        })?;
        let Some((count, start)) = array else {
            return Ok(None);
        };
        let mut cursor = Cursor::new(file, start);
        let strings: Result<_, _> = (0..count).map(|_| cursor.string()).collect();
        strings.map(Some)
    }

    /// The whole numbers of an array of 32-bit ones; `None` if the key is absent.
    pub(crate) fn integers(&self, file: &[u8], key: &str) -> Result<Option<Vec<i32>>, String> {
        let words = self.words(file, key, &[Element::I32, Element::U32])?;
        Ok(words.map(|words| words.iter().map(|&word| i32::from_le_bytes(word)).collect()))
    }

    /// The numbers of an array of 32-bit ones; `None` if the key is absent.
    pub(crate) fn floats(&self, file: &[u8], key: &str) -> Result<Option<Vec<f32>>, String> {
        let words = self.words(file, key, &[Element::F32])?;
        Ok(words.map(|words| words.iter().map(|&word| f32::from_le_bytes(word)).collect()))
    }

    fn words<'a>(
        &self,
        file: &'a [u8],
        key: &str,
        types: &[Element],
    ) -> Result<Option<&'a [[u8; 4]]>, String> {
        self.typed(key, "an array of 32-bit numbers", |value| match value {
            Value::Array { element, span, .. } if types.contains(element) => {
                file.get(span.clone()).map(|bytes| bytes.as_chunks().0)
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One entry of metadata, read from bytes.
    fn entry(key: &str, kind: u32, value: &[u8]) -> (Metadata, Vec<u8>) {
        let mut file = (key.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(key.as_bytes());
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(value);
        let metadata = Metadata::read(&mut Cursor::new(&file, 0), 1).unwrap();
        (metadata, file)
    }

    fn array(element: u32, values: &[u32]) -> Vec<u8> {
        let words = values.iter().flat_map(|value| value.to_le_bytes());
        let mut out = element.to_le_bytes().to_vec();
        out.extend_from_slice(&(values.len() as u64).to_le_bytes());
        out.extend(words);
        out
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let (metadata, file) = entry("a.b", 9, &array(4, &[7, 7]));
        for refusal in [
            metadata.unsigned("a.b").unwrap_err(),
            metadata.float("a.b").unwrap_err(),
            metadata.string("a.b").unwrap_err(),
            metadata.flag("a.b").unwrap_err(),
            metadata.strings(&file, "a.b").unwrap_err(),
        ] {
            assert!(refusal.contains("`a.b` is an array of 2"), "{refusal}");
        }
        assert_eq!(metadata.unsigned("a.c"), Ok(None));
        assert_eq!(metadata.integers(&file, "a.b"), Ok(Some(vec![7, 7])));
        let (metadata, _) = entry("a", 7, &[1]);
        assert_eq!(metadata.flag("a"), Ok(Some(true)));
        assert!(metadata.unsigned("a").unwrap_err().contains("`a` is true"));
    }

    #[test]
    fn numbers_of_layers_are_read_however_they_are_written() {
        let (metadata, file) = entry("a", 9, &array(4, &[2, 3]));
        assert_eq!(metadata.of_layers(&file, "a", 2), Ok(Some(vec![2, 3])));
        assert!(
            metadata
                .of_layers(&file, "a", 3)
                .unwrap_err()
                .contains("array of 2")
        );
        let (metadata, file) = entry("a", 4, &5u32.to_le_bytes());
        assert_eq!(metadata.of_layers(&file, "a", 3), Ok(Some(vec![5])));
        assert_eq!(metadata.of_layers(&file, "b", 3), Ok(None));
        let (metadata, file) = entry("a", 9, &array(6, &[0, 0]));
        assert!(
            metadata
                .of_layers(&file, "a", 2)
                .unwrap_err()
                .contains("whole numbers")
        );
    }
}
