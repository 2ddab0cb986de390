//! What tells the examples of a cache apart.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A window of a cache: `row:start+length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExampleId {
    /// Row of the cache.
    pub row: u64,
    /// Position of the window's first token in the row.
    pub start: u32,
    /// Tokens of the window.
    pub len: u32,
}

/// Not of the form `row:start+length`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form `row:start+length`")]
pub struct InvalidExampleId(String);

impl ExampleId {
    /// Whether the windows share a token.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.row == other.row
            && self.start < other.start + other.len
            && other.start < self.start + self.len
    }
}

impl fmt::Display for ExampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}+{}", self.row, self.start, self.len)
    }
}

impl FromStr for ExampleId {
    type Err = InvalidExampleId;

    fn from_str(text: &str) -> Result<Self, InvalidExampleId> {
        let parse = || {
            let (row, window) = text.split_once(':')?;
            let (start, len) = window.split_once('+')?;
            Some(Self {
                row: row.parse().ok()?,
                start: start.parse().ok()?,
                len: len.parse().ok()?,
            })
        };
        parse().ok_or_else(|| InvalidExampleId(text.to_owned()))
    }
}

impl TryFrom<String> for ExampleId {
    type Error = InvalidExampleId;

    fn try_from(text: String) -> Result<Self, InvalidExampleId> {
        text.parse()
    }
}

impl From<ExampleId> for String {
    fn from(id: ExampleId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        let id = ExampleId {
            row: 7,
            start: 3,
            len: 32,
        };
        assert_eq!(id.to_string(), "7:3+32");
        assert_eq!("7:3+32".parse(), Ok(id));
        assert!("7:3".parse::<ExampleId>().is_err());
        assert!("x:3+1".parse::<ExampleId>().is_err());
    }

    #[test]
    fn windows_that_touch_do_not_overlap() {
        let at = |row, start| ExampleId { row, start, len: 4 };
        assert!(at(1, 0).overlaps(&at(1, 3)));
        assert!(!at(1, 0).overlaps(&at(1, 4)));
        assert!(!at(1, 0).overlaps(&at(2, 0)));
    }
}
