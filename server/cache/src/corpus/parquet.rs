//! Parquet: each row is a document, read from one column of strings without Arrow, a page at a time.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use parquet::{
    basic::Type,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, ByteArrayType},
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
};

use super::{Texts, files::unreadable};
use crate::Error;

/// Rows that are decoded together.
const BATCH: usize = 64;

/// Column `column` of the file, values of at most `limit` bytes. A null is an empty text.
pub(super) fn each(path: &Path, column: &str, limit: usize) -> Result<Texts, Error> {
    let rows = Rows::open(path, column, limit)?;
    Ok(Box::new(rows))
}

/// The values of one column of strings.
struct Rows {
    path: PathBuf,
    limit: usize,
    file: SerializedFileReader<std::fs::File>,
    column: usize,
    /// Level of a value that is there; 0 if the column cannot hold nulls.
    defined: i16,
    row_group: usize,
    reader: Option<ColumnReaderImpl<ByteArrayType>>,
    /// Decoded rows that have not been handed out; `None` is a null.
    decoded: VecDeque<Option<ByteArray>>,
    row: u64,
}

impl Rows {
    fn open(path: &Path, column: &str, limit: usize) -> Result<Self, Error> {
        let file = latentd_files::open(path).map_err(|source| unreadable(path, source))?;
        let file = file.into_parts().0;
        let file = contain(|| SerializedFileReader::new(file))
            .map_err(|detail| malformed(path, None, detail))?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let found = schema
            .columns()
            .iter()
            .position(|leaf| leaf.path().string() == column);
        let leaf = found.and_then(|at| schema.columns().get(at).cloned().map(|leaf| (at, leaf)));
        let Some((at, leaf)) = leaf else {
            return Err(malformed(
                path,
                None,
                format!("there is no column `{column}`"),
            ));
        };
        if leaf.physical_type() != Type::BYTE_ARRAY || leaf.max_rep_level() > 0 {
            return Err(malformed(
                path,
                None,
                format!("column `{column}` is not one of strings"),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            limit,
            file,
            column: at,
            defined: leaf.max_def_level(),
            row_group: 0,
            reader: None,
            decoded: VecDeque::new(),
            row: 0,
        })
    }

    /// Decodes more rows; `false` if there are none.
    fn decode(&mut self) -> Result<bool, ParquetError> {
        loop {
            let Some(reader) = &mut self.reader else {
                if self.row_group >= self.file.num_row_groups() {
                    return Ok(false);
                }
                let group = self.file.get_row_group(self.row_group)?;
                self.row_group += 1;
                self.reader = match group.get_column_reader(self.column)? {
                    ColumnReader::ByteArrayColumnReader(reader) => Some(reader),
                    _ => {
                        return Err(ParquetError::General(
                            "the column changes its type".to_owned(),
                        ));
                    }
                };
                continue;
            };
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let wanted = (self.defined > 0).then_some(&mut levels);
            let (rows, ..) = reader.read_records(BATCH, wanted, None, &mut values)?;
            if rows == 0 {
                self.reader = None;
                continue;
            }
            let mut values = values.into_iter();
            if self.defined == 0 {
                self.decoded.extend(values.map(Some));
            } else {
                let defined = self.defined;
                let rows = levels
                    .into_iter()
                    .map(|level| (level == defined).then(|| values.next()).flatten());
                self.decoded.extend(rows);
            }
            return Ok(true);
        }
    }

    fn read(&mut self) -> Result<Option<String>, Error> {
        loop {
            let Some(value) = self.decoded.pop_front() else {
                let more = contain(|| self.decode());
                if more.map_err(|detail| malformed(&self.path, Some(self.row + 1), detail))? {
                    continue;
                }
                return Ok(None);
            };
            self.row += 1;
            let Some(value) = value else {
                return Ok(Some(String::new()));
            };
            if value.len() > self.limit {
                let (path, line) = (self.path.clone(), Some(self.row));
                return Err(Error::DocumentTooLarge {
                    path,
                    line,
                    limit: self.limit,
                });
            }
            return match std::str::from_utf8(value.data()) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(Error::CorpusNotUtf8 {
                    path: self.path.clone(),
                    line: self.row,
                }),
            };
        }
    }
}

impl Iterator for Rows {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Runs the decoder. It is not ours and reads a file that is not ours, so a panic in it is a malformed file.
fn contain<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the decoder failed on it".to_owned()),
    }
}

fn malformed(path: &Path, line: Option<u64>, detail: String) -> Error {
    Error::MalformedCorpus {
        path: path.to_owned(),
        line,
        detail,
    }
}
