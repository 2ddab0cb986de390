//! Reads a corpus document by document, in an order that depends on its files and the seed alone.
//!
//! What is held is one document, a page of a Parquet file, a path for each file and, where the corpus is shuffled, a
//! window of documents: nothing that grows with the length of the corpus. Blank documents are numbered like any other, so that
//! a number is a place in the corpus; a null is a blank document.

mod arrow;
mod files;
mod json;
mod lines;
mod pages;
mod parquet;
mod shuffle;
mod skipped;
mod source;
mod stored;
mod table;

use std::{io::Read, path::Path};

use latentd_domain::{Corpus, CorpusFormat};
use latentd_files::Interrupt;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::Error;
use files::{Format, SourceFile};
use shuffle::Shuffled;
pub use skipped::Skipped;
use source::Source;
pub use stored::{
    CorpusWriter, FoundCorpus, Keep, STORED_FIELD, StoredCorpus, clean_corpora, corpora_bytes,
    corpus_path, list_corpora, remove_corpus, touch_corpus,
};

/// Longest document, in bytes of text.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 20;

/// The texts of one file or of a whole corpus.
type Texts = Box<dyn Iterator<Item = Result<String, Error>> + Send>;

/// One document of a corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its place in the order of reading, from 0.
    pub index: u64,
    /// Its text; empty where the corpus has a null.
    pub text: String,
}

impl Document {
    /// Whether there is nothing in it to encode.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// The documents of a corpus. After an error there are no more.
pub struct Documents {
    texts: Texts,
    skipped: Skipped,
    read: u64,
    has_text: bool,
    ended: bool,
}

impl Documents {
    /// Finds the files of `corpus`. With seed 0 they are read in the order given, folders in the order of names; any other
    /// seed shuffles the files, then the documents within a window.
    ///
    /// Fails with `PathNotReadable` if a path cannot be read, `MalformedCorpus` if the format of a file cannot be told,
    /// and `EmptyCorpus` if there are no files. Reading fails with these and `CorpusNotUtf8`, and at the end with
    /// `EmptyCorpus` if every document was blank.
    pub fn open(corpus: &Corpus, seed: u64) -> Result<Self, Error> {
        Self::open_until(corpus, seed, &Interrupt::new())
    }

    /// [`Documents::open`]; looking for files and reading them ends with `Interrupted` when `interrupt` is raised.
    pub fn open_until(corpus: &Corpus, seed: u64, interrupt: &Interrupt) -> Result<Self, Error> {
        let files::Found { mut files, skipped } = files::find(corpus, interrupt)?;
        if files.is_empty() {
            return Err(Error::empty_corpus(&skipped));
        }
        let field = corpus.text_field.clone();
        let interrupt = interrupt.clone();
        let texts = |files: Vec<SourceFile>| {
            let each = move |file| texts(&file, &field, &interrupt);
            files.into_iter().flat_map(each)
        };
        let texts: Texts = if seed == 0 {
            Box::new(texts(files))
        } else {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            files.shuffle(&mut rng);
            Box::new(Shuffled::new(texts(files), rng))
        };
        Ok(Self::new(texts, skipped))
    }

    /// The documents of what is read from elsewhere than a file, in one of the formats of text; auto takes each line for a
    /// document. `name` stands for the file in errors.
    pub fn of_reader(
        bytes: Box<dyn Read + Send>,
        name: &Path,
        format: CorpusFormat,
        field: &str,
    ) -> Result<Self, Error> {
        let source = Source::of(name, bytes);
        let texts = match format {
            CorpusFormat::Text => lines::whole(source, MAX_DOCUMENT_BYTES),
            CorpusFormat::Auto | CorpusFormat::Lines => lines::each(source, MAX_DOCUMENT_BYTES),
            CorpusFormat::Jsonl => json::each(source, field, MAX_DOCUMENT_BYTES),
            CorpusFormat::Parquet | CorpusFormat::Arrow => {
                let detail = "tables are read from files alone".to_owned();
                return Err(table::malformed(name, None, detail));
            }
        };
        Ok(Self::new(texts, Skipped::default()))
    }

    fn new(texts: Texts, skipped: Skipped) -> Self {
        Self {
            texts,
            skipped,
            read: 0,
            has_text: false,
            ended: false,
        }
    }

    /// What was left out of the folders.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

impl Iterator for Documents {
    type Item = Result<Document, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = match self.texts.next() {
            Some(Ok(text)) => {
                let document = Document {
                    index: self.read,
                    text,
                };
                self.read += 1;
                self.has_text |= !document.is_blank();
                return Some(Ok(document));
            }
            Some(Err(error)) => Some(Err(error)),
            None if !self.has_text => Some(Err(Error::empty_corpus(&self.skipped))),
            None => None,
        };
        self.ended = true;
        next
    }
}

fn texts(file: &SourceFile, field: &str, interrupt: &Interrupt) -> Texts {
    let SourceFile {
        path,
        format,
        packing,
    } = file;
    let limit = MAX_DOCUMENT_BYTES;
    let source = || Source::open(path, *packing, interrupt);
    let opened = match format {
        Format::Text => source().map(|source| lines::whole(source, limit)),
        Format::Lines => source().map(|source| lines::each(source, limit)),
        Format::Jsonl => source().map(|source| json::each(source, field, limit)),
        Format::Json => source().map(|source| json::values(source, field, limit)),
        Format::Parquet => parquet::each(path, field, limit, interrupt),
        Format::Arrow => arrow::each(path, field, limit, interrupt),
    };
    opened.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
}

/// Digest of the documents that a cache is built from.
#[derive(Clone, Debug, Default)]
pub struct CorpusDigest(blake3::Hasher);

impl CorpusDigest {
    /// Of no documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document. Its length goes first, so that no two lists of documents look the same.
    pub fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    /// BLAKE3 of the documents added, in hexadecimal.
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
