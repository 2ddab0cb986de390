//! What Parquet and Arrow files share: how their columns are named in messages, and a decoder that is not ours.

use std::{
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::Error;

/// Columns that are named where the one asked for is not there.
const NAMED: usize = 20;

/// Runs the decoder. It is not ours and reads a file that is not ours, so a panic in it is a malformed file.
pub(super) fn contain<T, E: Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the decoder failed on it".to_owned()),
    }
}

pub(super) fn malformed(path: &Path, row: Option<u64>, detail: String) -> Error {
    Error::MalformedCorpus {
        path: path.to_owned(),
        line: row,
        detail,
    }
}

/// There is no such column, but these.
pub(super) fn no_column(column: &str, there: &[&str]) -> String {
    let named = there.get(..NAMED.min(there.len())).unwrap_or(there);
    let more = if named.len() < there.len() {
        ", …"
    } else {
        ""
    };
    format!(
        "there is no column `{column}`; there are: {}{more}",
        named.join(", ")
    )
}

/// The column is of another type.
pub(super) fn no_strings(column: &str, kind: &str) -> String {
    format!("the column `{column}` holds {kind}; a corpus has one string in each row")
}
