//! Cuts documents into rows and streams them to disk.
//!
//! The number of rows is known at the end only, so each column grows in a scratch file of its own, and `finish` puts
//! them together. Nothing in memory grows with the corpus: a row costs 20 bytes of scratch, a token four.

use std::{
    collections::BTreeMap,
    io::{BufWriter, Seek, Write},
    path::{Path, PathBuf},
};

use latentd_domain::missing_bos;

use super::{CORPUS_DIGEST, DOCUMENTS, IDS, ROW_DOCUMENT, ROW_OFFSETS, ROW_START};
use crate::{
    Error, Skipped,
    files::{self, SCRATCH},
    layout::tokens_path,
    scalar::Scalar,
    tensor_file::{Declared, TensorFile},
};

/// How documents become rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSpec {
    /// Longest row, in tokens, a beginning-of-sequence token included.
    pub context_length: usize,
    /// Token to put in front of each row that does not begin with it.
    pub bos: Option<u32>,
    /// Tokens to take at most, those in front included; the last row is cut to it. `None` takes all.
    pub max_tokens: Option<u64>,
}

/// Writes `tokens.safetensors`.
pub struct TokenWriter {
    dir: PathBuf,
    spec: RowSpec,
    tokens: u64,
    rows: u64,
    documents: u64,
    ids: Spool,
    row_offsets: Spool,
    row_document: Spool,
    row_start: Spool,
}

impl TokenWriter {
    /// Begins the rows of the cache in `dir`, which is made if it is not there.
    ///
    /// Fails with `InvalidBuild` if a row has no room for a token of its document.
    pub fn create(dir: &Path, spec: RowSpec) -> Result<Self, Error> {
        let room = spec
            .context_length
            .saturating_sub(usize::from(spec.bos.is_some()));
        if room == 0 || u32::try_from(spec.context_length).is_err() {
            let length = spec.context_length;
            return Err(Error::invalid_build(format!(
                "rows of {length} tokens cannot hold a text"
            )));
        }
        files::create_dir(dir)?;
        let mut row_offsets = Spool::create(dir, ROW_OFFSETS)?;
        row_offsets.push(&[0_u64])?;
        Ok(Self {
            dir: dir.to_owned(),
            spec,
            tokens: 0,
            rows: 0,
            documents: 0,
            ids: Spool::create(dir, IDS)?,
            row_offsets,
            row_document: Spool::create(dir, ROW_DOCUMENT)?,
            row_start: Spool::create(dir, ROW_START)?,
        })
    }

    /// Cuts one document, to which no beginning-of-sequence token was added, into rows. Says whether there is room for more;
    /// a document that comes when there is none is left out and not counted.
    pub fn push_document(&mut self, ids: &[u32]) -> Result<bool, Error> {
        if self.is_full() {
            return Ok(false);
        }
        let document = self.documents;
        self.documents += 1;
        let mut rest = ids;
        while !rest.is_empty() && !self.is_full() {
            let bos = missing_bos(self.spec.bos, rest);
            let room = self.spec.context_length - usize::from(bos.is_some());
            let start = u32::try_from(ids.len() - rest.len())
                .map_err(|_| Error::invalid_build("a document has more than 2^32 tokens"))?;
            let (piece, after) = rest.split_at(room.min(rest.len()));
            self.push_row(document, start, (bos, piece))?;
            rest = after;
        }
        Ok(!self.is_full())
    }

    /// A row of a document, which begins at its token `start`: a token in front, if one is needed, and its own.
    fn push_row(
        &mut self,
        document: u64,
        start: u32,
        (bos, piece): (Option<u32>, &[u32]),
    ) -> Result<(), Error> {
        let left = self.left();
        let front = u64::from(bos.is_some());
        let taken = usize::try_from(left - front.min(left))
            .unwrap_or(usize::MAX)
            .min(piece.len());
        if let Some(bos) = bos {
            self.ids.push(&[bos])?;
        }
        self.ids.push(piece.get(..taken).unwrap_or_default())?;
        self.tokens += front + taken as u64;
        self.rows += 1;
        self.row_offsets.push(&[self.tokens])?;
        self.row_document.push(&[document])?;
        self.row_start.push(&[start])
    }

    /// Tokens that may still come.
    fn left(&self) -> u64 {
        self.spec
            .max_tokens
            .map_or(u64::MAX, |most| most.saturating_sub(self.tokens))
    }

    fn is_full(&self) -> bool {
        self.left() == 0
    }

    /// Tokens so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Puts `tokens.safetensors` in its place. `corpus_digest` is that of the documents that were pushed.
    ///
    /// Fails with `EmptyCorpus` if there are no tokens.
    pub fn finish(self, corpus_digest: &str) -> Result<(), Error> {
        if self.tokens == 0 {
            return Err(Error::empty_corpus(&Skipped::default()));
        }
        if u32::try_from(self.rows).is_err() {
            return Err(Error::invalid_build(
                "shards count rows in 32 bits, and the corpus has more",
            ));
        }
        let declared = [
            Declared::new::<u64>(ROW_OFFSETS, &[self.rows + 1]),
            Declared::new::<u64>(ROW_DOCUMENT, &[self.rows]),
            Declared::new::<u32>(ROW_START, &[self.rows]),
            Declared::new::<u32>(IDS, &[self.tokens]),
        ];
        let metadata = BTreeMap::from([
            (CORPUS_DIGEST, corpus_digest.to_owned()),
            (DOCUMENTS, self.documents.to_string()),
        ]);
        let mut file = TensorFile::create(&tokens_path(&self.dir), &declared, &metadata)?;
        for spool in [
            self.row_offsets,
            self.row_document,
            self.row_start,
            self.ids,
        ] {
            spool.empty_into(&mut file)?;
        }
        file.commit().map(|_| ())
    }
}

/// A column that grows in a scratch file, which goes when the spool does.
struct Spool {
    out: BufWriter<fs_err::File>,
    path: PathBuf,
}

impl Spool {
    fn create(dir: &Path, column: &str) -> Result<Self, Error> {
        let path = dir.join(format!("tokens.{column}.{SCRATCH}"));
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        let file = file.map_err(|source| Error::storage(&path, source))?;
        Ok(Self {
            out: BufWriter::with_capacity(1 << 16, file),
            path,
        })
    }

    fn push<T: Scalar>(&mut self, values: &[T]) -> Result<(), Error> {
        let written = self.out.write_all(bytemuck::cast_slice(values));
        written.map_err(|source| Error::storage(&self.path, source))
    }

    fn empty_into(mut self, file: &mut TensorFile) -> Result<(), Error> {
        let rewound = self.out.flush().and_then(|()| self.out.get_mut().rewind());
        rewound.map_err(|source| Error::storage(&self.path, source))?;
        file.copy_from(self.out.get_mut())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Scratch: what a failure leaves here is swept by the next build.
        let _ = fs_err::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenTable;

    fn table(spec: RowSpec, documents: &[Vec<u32>]) -> (tempfile::TempDir, TokenTable) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = TokenWriter::create(dir.path(), spec).unwrap();
        for document in documents {
            if !writer.push_document(document).unwrap() {
                break;
            }
        }
        writer.finish("digest").unwrap();
        let table = TokenTable::open(dir.path()).unwrap();
        (dir, table)
    }

    #[test]
    fn rows_never_span_documents_and_begin_with_bos() {
        let spec = RowSpec {
            context_length: 4,
            bos: Some(0),
            max_tokens: None,
        };
        let (dir, table) = table(spec, &[(1..=7).collect(), vec![], vec![9]]);
        let rows: Vec<&[u32]> = (0..table.rows()).map(|row| table.row(row)).collect();
        assert_eq!(rows, [&[0, 1, 2, 3][..], &[0, 4, 5, 6], &[0, 7], &[0, 9]]);
        assert_eq!(
            (0..4).map(|row| table.document(row)).collect::<Vec<_>>(),
            [0, 0, 0, 2]
        );
        assert_eq!(
            (0..4)
                .map(|row| table.start_in_document(row))
                .collect::<Vec<_>>(),
            [0, 3, 6, 0]
        );
        assert_eq!(
            (table.tokens(), table.documents(), table.corpus_digest()),
            (12, 3, "digest")
        );
        assert_eq!(table.row(4), &[] as &[u32]);
        let files: Vec<_> = fs_err::read_dir(dir.path())
            .unwrap()
            .map(|f| f.unwrap().file_name())
            .collect();
        assert_eq!(files, ["tokens.safetensors"]);
    }

    #[test]
    fn a_row_that_begins_with_bos_gets_no_second_one() {
        let spec = RowSpec {
            context_length: 4,
            bos: Some(0),
            max_tokens: None,
        };
        // The document writes the token itself, at its beginning and where a row ends.
        let (_dir, table) = table(spec, &[vec![0, 1, 2, 3, 4, 5, 6, 0, 7], vec![0]]);
        let rows: Vec<&[u32]> = (0..table.rows()).map(|row| table.row(row)).collect();
        assert_eq!(rows, [&[0, 1, 2, 3][..], &[0, 4, 5, 6], &[0, 7], &[0]]);
        let starts: Vec<_> = (0..4).map(|row| table.start_in_document(row)).collect();
        assert_eq!(starts, [0, 4, 7, 0]);
    }

    #[test]
    fn what_is_held_does_not_grow_with_the_corpus() {
        let dir = tempfile::tempdir().unwrap();
        let spec = RowSpec {
            context_length: 64,
            bos: Some(0),
            max_tokens: None,
        };
        let mut writer = TokenWriter::create(dir.path(), spec).unwrap();
        let held = |writer: &TokenWriter| {
            [
                &writer.ids,
                &writer.row_offsets,
                &writer.row_document,
                &writer.row_start,
            ]
            .map(|spool| spool.out.capacity())
        };
        let before = held(&writer);
        let document: Vec<u32> = (0..10_000).collect();
        while writer.tokens() < 2_000_000 {
            writer.push_document(&document).unwrap();
        }
        assert_eq!(held(&writer), before);
    }

    #[test]
    fn max_tokens_cuts_exactly() {
        for most in 1..=9_u64 {
            let spec = RowSpec {
                context_length: 4,
                bos: Some(0),
                max_tokens: Some(most),
            };
            let (_dir, table) = table(spec, &[(1..=4).collect(), (5..=9).collect()]);
            assert_eq!(table.tokens(), most);
            // 0 1 2 3 | 0 4 | 0 5 6 …: the second document is begun by the seventh token.
            assert_eq!(table.documents(), if most > 6 { 2 } else { 1 });
        }
    }

    #[test]
    fn without_tokens_there_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let spec = RowSpec {
            context_length: 4,
            bos: None,
            max_tokens: None,
        };
        let mut writer = TokenWriter::create(dir.path(), spec).unwrap();
        writer.push_document(&[]).unwrap();
        assert!(matches!(writer.finish(""), Err(Error::EmptyCorpus { .. })));
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
        let spec = RowSpec {
            context_length: 1,
            bos: Some(0),
            max_tokens: None,
        };
        assert!(matches!(
            TokenWriter::create(dir.path(), spec),
            Err(Error::InvalidBuild { .. })
        ));
    }
}
