//! Reads the rows of tokens of a cache in place.

use std::{ops::Range, path::Path};

use super::{CORPUS_DIGEST, DOCUMENTS, IDS, ROW_DOCUMENT, ROW_OFFSETS, ROW_START};
use crate::{
    Error,
    layout::tokens_path,
    mapped::{Column, Mapped},
};

/// The rows of tokens of a cache, mapped.
#[derive(Debug)]
pub struct TokenTable {
    file: Mapped,
    row_offsets: Column<u64>,
    row_document: Column<u64>,
    row_start: Column<u32>,
    ids: Column<u32>,
    rows: u64,
    tokens: u64,
    documents: u64,
}

impl TokenTable {
    /// Opens the rows of the cache in `dir`. A build that was interrupted after [`crate::TokenWriter::finish`] goes on
    /// from here.
    ///
    /// Fails with `CacheCorrupt` if the columns do not fit together.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let file = Mapped::open(&tokens_path(dir))?;
        let rows = file.len(ROW_DOCUMENT)?;
        let tokens = file.len(IDS)?;
        let documents = file.metadata(DOCUMENTS)?.parse();
        let documents = documents.map_err(|_| file.corrupt("`documents` is not a number"))?;
        let table = Self {
            row_offsets: file.column(ROW_OFFSETS, &[rows.saturating_add(1)])?,
            row_document: file.column(ROW_DOCUMENT, &[rows])?,
            row_start: file.column(ROW_START, &[rows])?,
            ids: file.column(IDS, &[tokens])?,
            rows,
            tokens,
            documents,
            file,
        };
        table.corpus_digest_or_corrupt()?;
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), Error> {
        let offsets = self.file.values(&self.row_offsets);
        if offsets.first() != Some(&0) || offsets.last() != Some(&self.tokens) {
            return Err(self.file.corrupt("the rows do not cover the tokens"));
        }
        let longest = u64::from(u32::MAX);
        let grows = |pair: &[u64]| matches!(pair, [a, b] if a < b && b - a <= longest);
        if let Some(row) = offsets.windows(2).position(|pair| !grows(pair)) {
            return Err(self
                .file
                .corrupt(format!("row {row} does not end after it begins")));
        }
        let documents = self.file.values(&self.row_document);
        let ordered =
            documents.is_sorted() && documents.last().is_some_and(|&last| last < self.documents);
        if ordered && u32::try_from(self.rows).is_ok() {
            Ok(())
        } else {
            Err(self
                .file
                .corrupt("the rows are not in the order of their documents"))
        }
    }

    fn corpus_digest_or_corrupt(&self) -> Result<&str, Error> {
        self.file.metadata(CORPUS_DIGEST)
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of tokens, special ones included.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Number of documents, those without a token included.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// BLAKE3 of the documents, in hexadecimal, as the writer was told.
    pub fn corpus_digest(&self) -> &str {
        self.corpus_digest_or_corrupt().unwrap_or_default()
    }

    /// Where the tokens of row `row` lie among all; empty if there is no such row.
    pub fn range(&self, row: u64) -> Range<u64> {
        let offsets = usize::try_from(row)
            .ok()
            .and_then(|row| self.offsets().get(row..)?.get(..2));
        match offsets {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        }
    }

    /// Tokens before each row, and of all rows at the end: `[rows + 1]`.
    pub(crate) fn offsets(&self) -> &[u64] {
        self.file.values(&self.row_offsets)
    }

    /// Number of tokens in row `row`; 0 if there is no such row.
    pub fn row_len(&self, row: u64) -> u32 {
        let range = self.range(row);
        (range.end - range.start) as u32
    }

    /// Token ids of row `row`; empty if there is no such row.
    pub fn row(&self, row: u64) -> &[u32] {
        self.ids(self.range(row))
    }

    /// Token ids of a range of all tokens; empty if it does not lie inside.
    pub(crate) fn ids(&self, tokens: Range<u64>) -> &[u32] {
        let range = usize::try_from(tokens.start)
            .ok()
            .zip(usize::try_from(tokens.end).ok());
        range
            .and_then(|(start, end)| self.file.values(&self.ids).get(start..end))
            .unwrap_or_default()
    }

    /// The row that holds token `token` of all.
    pub(crate) fn row_of(&self, token: u64) -> u64 {
        (self.offsets().partition_point(|&offset| offset <= token) as u64).saturating_sub(1)
    }

    /// Document of row `row`, by its place in the order of the cache.
    pub fn document(&self, row: u64) -> u64 {
        let documents = self.file.values(&self.row_document);
        usize::try_from(row)
            .ok()
            .and_then(|row| documents.get(row))
            .copied()
            .unwrap_or_default()
    }

    /// Tokens of the document before row `row`.
    pub fn start_in_document(&self, row: u64) -> u32 {
        let starts = self.file.values(&self.row_start);
        usize::try_from(row)
            .ok()
            .and_then(|row| starts.get(row))
            .copied()
            .unwrap_or_default()
    }

    /// Tokens whose id is not one of `masked`, which is sorted: those that are encoded.
    pub fn encoded_tokens(&self, masked: &[u32]) -> u64 {
        let ids = self.file.values(&self.ids);
        ids.iter()
            .filter(|id| masked.binary_search(id).is_err())
            .count() as u64
    }

    /// Fails with `CacheCorrupt` if the file was cut short since it was opened. Whoever reads rows asks this afterwards, before
    /// anything is made of them.
    pub fn intact(&self) -> Result<(), Error> {
        self.file.intact()
    }

    /// Length of the file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }
}
