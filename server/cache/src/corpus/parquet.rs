//! Parquet: each row is a document, read from one column of strings without Arrow, a page at a time.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use parquet::{
    basic::{ConvertedType, LogicalType, Type},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, ByteArrayType},
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    schema::types::{SchemaDescriptor, Type as Node},
};

use latentd_files::Interrupt;

use super::{
    Texts,
    files::unreadable,
    pages::{self, Refused},
    source,
    table::{contain, malformed, no_column, no_strings},
};
use crate::Error;

/// Rows that are decoded together. In one encoding a row repeats the front of the row before it, so that each may be as long as
/// a page.
const BATCH: usize = 1;

/// Column `column` of the file, values of at most `limit` bytes. A null is an empty text.
pub(super) fn each(
    path: &Path,
    column: &str,
    limit: usize,
    interrupt: &Interrupt,
) -> Result<Texts, Error> {
    let rows = Rows::open(path, column, limit, interrupt)?;
    Ok(Box::new(rows))
}

/// The values of one column of strings.
struct Rows {
    path: PathBuf,
    limit: usize,
    interrupt: Interrupt,
    bytes: std::fs::File,
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
    fn open(path: &Path, column: &str, limit: usize, interrupt: &Interrupt) -> Result<Self, Error> {
        let file = source::open(path)?;
        let bytes = file.try_clone();
        let bytes = bytes.map_err(|source| unreadable(path, source))?;
        let file = contain(|| SerializedFileReader::new(file))
            .map_err(|detail| malformed(path, None, detail))?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let (at, defined) =
            find(&schema, column).map_err(|detail| malformed(path, None, detail))?;
        Ok(Self {
            path: path.to_owned(),
            limit,
            interrupt: interrupt.clone(),
            bytes,
            file,
            column: at,
            defined,
            row_group: 0,
            reader: None,
            decoded: VecDeque::new(),
            row: 0,
        })
    }

    /// Decodes more rows; `false` if there are none.
    fn decode(&mut self) -> Result<bool, Refused> {
        loop {
            let Some(reader) = &mut self.reader else {
                if self.row_group >= self.file.num_row_groups() {
                    return Ok(false);
                }
                let group = self.file.get_row_group(self.row_group).map_err(told)?;
                self.row_group += 1;
                let chunk = group.metadata().columns().get(self.column);
                let chunk = chunk.ok_or_else(|| "a row group lacks the column".to_owned())?;
                let (start, length) = chunk.byte_range();
                let place = start..start.saturating_add(length);
                pages::check(&self.bytes, place, chunk.compression(), &self.interrupt)?;
                self.reader = match group.get_column_reader(self.column).map_err(told)? {
                    ColumnReader::ByteArrayColumnReader(reader) => Some(reader),
                    _ => return Err("the column changes its type".to_owned().into()),
                };
                continue;
            };
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let wanted = (self.defined > 0).then_some(&mut levels);
            let read = reader.read_records(BATCH, wanted, None, &mut values);
            let (rows, ..) = read.map_err(told)?;
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
                let more = contain(|| match self.decode() {
                    Err(Refused::Malformed(detail)) => Err(detail),
                    Err(Refused::Interrupted) => Ok(None),
                    Ok(more) => Ok(Some(more)),
                });
                let more = more.map_err(|detail| malformed(&self.path, Some(self.row + 1), detail));
                match more? {
                    Some(true) => continue,
                    Some(false) => return Ok(None),
                    None => {
                        let path = self.path.clone();
                        return Err(Error::Interrupted { path });
                    }
                }
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

fn told(error: ParquetError) -> Refused {
    Refused::Malformed(error.to_string())
}

/// The leaf that is the column, and the level of a value that is there.
fn find(schema: &SchemaDescriptor, column: &str) -> Result<(usize, i16), String> {
    let leaf = schema
        .columns()
        .iter()
        .enumerate()
        .find(|(_, leaf)| leaf.path().string() == column);
    if let Some((at, leaf)) = leaf {
        return match leaf.physical_type() {
            _ if leaf.max_rep_level() > 0 => Err(no_strings(column, "lists")),
            Type::BYTE_ARRAY => Ok((at, leaf.max_def_level())),
            kind => Err(no_strings(column, &format!("{kind}"))),
        };
    }
    // What is no leaf is a group: a list, a map or a structure of columns.
    let mut node: Option<&Node> = None;
    for part in column.split('.') {
        let fields = node.unwrap_or(schema.root_schema());
        node = match fields {
            Node::GroupType { fields, .. } => fields
                .iter()
                .find(|field| field.name() == part)
                .map(AsRef::as_ref),
            Node::PrimitiveType { .. } => None,
        };
        if node.is_none() {
            break;
        }
    }
    match node {
        None => {
            let root = schema.root_schema().get_fields();
            let names: Vec<&str> = root.iter().map(|field| field.name()).collect();
            Err(no_column(column, &names))
        }
        Some(node) => Err(no_strings(column, &group(node))),
    }
}

/// What a group of columns is.
fn group(node: &Node) -> String {
    let info = node.get_basic_info();
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    if converted == ConvertedType::LIST || matches!(logical, Some(LogicalType::List)) {
        return "lists".to_owned();
    }
    if converted == ConvertedType::MAP || matches!(logical, Some(LogicalType::Map)) {
        return "maps".to_owned();
    }
    let names: Vec<&str> = match node {
        Node::GroupType { fields, .. } => fields.iter().map(|field| field.name()).collect(),
        Node::PrimitiveType { .. } => Vec::new(),
    };
    format!("structures of {}", names.join(", "))
}
