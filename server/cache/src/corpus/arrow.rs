//! Arrow: each row of a table is a document, read from one column of strings. Files and streams of Arrow's IPC format, which is
//! what `datasets` keeps its tables in; a record batch at a time, of which only the column is decoded.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_array::{Array, ArrayRef, cast::AsArray};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{ArrowError, DataType, Fields, Schema};
use latentd_files::Interrupt;

use super::{
    Texts, source,
    table::{contain, malformed, no_column, no_strings},
};
use crate::Error;

/// What an IPC file begins with; behind it is a stream.
const MAGIC: &[u8; 8] = b"ARROW1\0\0";
/// What an IPC file ends with.
const END: &[u8; 6] = b"ARROW1";
/// Longest record batch, or dictionary, in bytes.
const MAX_BATCH: u64 = 1 << 30;

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

/// Fails when more is read than it may be until it is filled up again: batches declare their own length.
struct Metered {
    file: BufReader<File>,
    left: Arc<AtomicU64>,
    interrupt: Interrupt,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(format!(
                "a record batch is longer than {MAX_BATCH} bytes"
            )));
        }
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.store(left - read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The values of one column of strings.
struct Rows {
    path: PathBuf,
    limit: usize,
    interrupt: Interrupt,
    left: Arc<AtomicU64>,
    batches: StreamReader<Metered>,
    /// Names of the fields that lead from the decoded column to the strings.
    within: Vec<String>,
    batch: Option<Batch>,
    row: u64,
}

/// The strings of a record batch.
struct Batch {
    /// From the outside in; a null in one of them is a null. The last one has the strings.
    columns: Vec<ArrayRef>,
    /// For a dictionary, which of its values each row has; the values are the last column.
    keys: Option<Vec<usize>>,
    rows: usize,
    next: usize,
}

impl Rows {
    fn open(path: &Path, column: &str, limit: usize, interrupt: &Interrupt) -> Result<Self, Error> {
        let wrong = |detail| {
            if interrupt.is_raised() {
                let path = path.to_owned();
                return Error::Interrupted { path };
            }
            malformed(path, None, detail)
        };
        let mut file = source::open(path)?;
        let start = start(&mut file).map_err(|error| wrong(error.to_string()))?;
        let left = Arc::new(AtomicU64::new(MAX_BATCH));
        let open = |columns: Option<Vec<usize>>| {
            let file = file.try_clone().and_then(|mut file| {
                file.seek(SeekFrom::Start(start))?;
                Ok(file)
            });
            let file = BufReader::with_capacity(1 << 16, file.map_err(|e| e.to_string())?);
            let metered = Metered {
                file,
                left: Arc::clone(&left),
                interrupt: interrupt.clone(),
            };
            contain(|| StreamReader::try_new(metered, columns))
        };
        let schema = open(None).map_err(wrong)?.schema();
        let (at, within) = find(&schema, column).map_err(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            limit,
            interrupt: interrupt.clone(),
            batches: open(Some(vec![at])).map_err(wrong)?,
            left,
            within,
            batch: None,
            row: 0,
        })
    }

    fn read(&mut self) -> Result<Option<String>, Error> {
        loop {
            let Some(batch) = &mut self.batch else {
                self.left.store(MAX_BATCH, Ordering::Relaxed);
                let (batches, within) = (&mut self.batches, &self.within);
                let next = contain(|| {
                    let next = batches.next().transpose()?;
                    Ok::<_, ArrowError>(next.map(|next| Batch::new(next.columns(), within)))
                });
                self.batch = next.map_err(|detail| {
                    if self.interrupt.is_raised() {
                        let path = self.path.clone();
                        return Error::Interrupted { path };
                    }
                    malformed(&self.path, Some(self.row + 1), detail)
                })?;
                if self.batch.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if batch.next >= batch.rows {
                self.batch = None;
                continue;
            }
            self.row += 1;
            let text = batch.take().unwrap_or_default();
            if text.len() > self.limit {
                return Err(Error::DocumentTooLarge {
                    path: self.path.clone(),
                    line: Some(self.row),
                    limit: self.limit,
                });
            }
            return Ok(Some(text.to_owned()));
        }
    }
}

impl Iterator for Rows {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl Batch {
    fn new(columns: &[ArrayRef], within: &[String]) -> Self {
        let mut chain: Vec<ArrayRef> = columns.first().cloned().into_iter().collect();
        for name in within {
            let inner = chain
                .last()
                .and_then(|column| column.as_struct_opt()?.column_by_name(name).cloned());
            chain.extend(inner);
        }
        let rows = chain.first().map_or(0, Array::len);
        let dictionary = chain.last().and_then(|it| it.as_any_dictionary_opt());
        let keys = dictionary.map(|it| {
            // A dictionary without values has nulls alone.
            let keys = if it.values().is_empty() {
                vec![usize::MAX; rows]
            } else {
                it.normalized_keys()
            };
            (keys, Arc::clone(it.values()))
        });
        let (keys, values) = keys.unzip();
        chain.extend(values);
        Self {
            columns: chain,
            keys,
            rows,
            next: 0,
        }
    }

    /// The text of the next row; `None` for a null.
    fn take(&mut self) -> Option<&str> {
        let row = self.next;
        self.next += 1;
        let (strings, outer) = self.columns.split_last()?;
        let (is_null, at) = match &self.keys {
            None => (self.columns.iter().any(|it| it.is_null(row)), row),
            Some(keys) => {
                let at = keys.get(row).copied()?;
                let is_null = outer.iter().any(|it| it.is_null(row));
                (is_null || at >= strings.len() || strings.is_null(at), at)
            }
        };
        if is_null {
            return None;
        }
        match strings.data_type() {
            DataType::Utf8 => Some(strings.as_string::<i32>().value(at)),
            DataType::LargeUtf8 => Some(strings.as_string::<i64>().value(at)),
            DataType::Utf8View => Some(strings.as_string_view().value(at)),
            _ => None,
        }
    }
}

/// Where the stream begins in the file. A file that is cut off lacks its end; of a stream it cannot be told.
fn start(file: &mut File) -> io::Result<u64> {
    let mut magic = [0; 8];
    let mut read = 0;
    while let Some(rest) = magic.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => read += more,
        }
    }
    if &magic != MAGIC {
        return Ok(0);
    }
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = [0; 6];
    file.seek(SeekFrom::Start(length.saturating_sub(END.len() as u64)))?;
    file.read_exact(&mut end)?;
    if &end == END {
        Ok(MAGIC.len() as u64)
    } else {
        Err(io::Error::other("the file is cut off"))
    }
}

/// The column and what leads from it to the strings.
fn find(schema: &Schema, column: &str) -> Result<(usize, Vec<String>), String> {
    let names = || -> Vec<&str> {
        schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect()
    };
    let at = |name: &str| {
        schema
            .fields()
            .iter()
            .position(|field| field.name() == name)
    };
    let (first, within) = if let Some(at) = at(column) {
        (at, Vec::new())
    } else {
        let mut parts = column.split('.');
        let first = parts.next().and_then(at);
        let first = first.ok_or_else(|| no_column(column, &names()))?;
        (first, parts.map(str::to_owned).collect())
    };
    let mut kind = schema.fields().get(first).map(|field| field.data_type());
    for name in &within {
        kind = match kind {
            Some(DataType::Struct(fields)) => named(fields, name),
            _ => None,
        };
    }
    match kind {
        None => Err(no_column(column, &names())),
        Some(kind) if is_strings(kind) => Ok((first, within)),
        Some(kind) => Err(no_strings(column, &describe(kind))),
    }
}

fn named<'a>(fields: &'a Fields, name: &str) -> Option<&'a DataType> {
    let field = fields.iter().find(|field| field.name() == name);
    field.map(|field| field.data_type())
}

fn is_strings(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => matches!(
            **values,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ),
        _ => false,
    }
}

fn describe(kind: &DataType) -> String {
    match kind {
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => "lists".to_owned(),
        DataType::Map(..) => "maps".to_owned(),
        DataType::Struct(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            format!("structures of {}", names.join(", "))
        }
        other => other.to_string(),
    }
}
