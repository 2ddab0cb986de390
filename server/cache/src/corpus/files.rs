//! Finds the files of a corpus and what format each has.

use std::{
    io,
    path::{Path, PathBuf},
};

use latentd_domain::{Corpus, CorpusFormat};
use latentd_files::Kind;

use crate::Error;

/// Folders within folders that are followed; more is taken for a loop of links.
const MAX_DEPTH: usize = 64;

/// A file of a corpus.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) format: Format,
}

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Lines,
    Jsonl,
    Parquet,
}

/// The files of `corpus`. In folders, hidden files are left out, and with format auto those with an ending that tells
/// nothing.
pub(super) fn find(corpus: &Corpus) -> Result<Vec<SourceFile>, Error> {
    let mut out = Vec::new();
    for path in corpus.paths.iter().map(PathBuf::from) {
        let kind = latentd_files::kind(&path).map_err(|source| unreadable(&path, source))?;
        if kind == Kind::Folder {
            walk(&path, corpus.format, 0, &mut out)?;
            continue;
        }
        let format = format_of(&path, corpus.format).ok_or_else(|| Error::MalformedCorpus {
            path: path.clone(),
            line: None,
            detail: "the ending is not .txt, .jsonl, .ndjson or .parquet; give the format"
                .to_owned(),
        })?;
        out.push(SourceFile { path, format });
    }
    Ok(out)
}

fn walk(
    dir: &Path,
    format: CorpusFormat,
    depth: usize,
    out: &mut Vec<SourceFile>,
) -> Result<(), Error> {
    let unreadable = |source| unreadable(dir, source);
    if depth > MAX_DEPTH {
        return Err(unreadable(io::Error::other(
            "too many folders within folders",
        )));
    }
    let entries = fs_err::read_dir(dir).map_err(unreadable)?;
    let mut entries = entries
        .collect::<io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // Not the entry's own type: links are followed.
        if latentd_files::kind(&path).map_err(unreadable)? == Kind::Folder {
            walk(&path, format, depth + 1, out)?;
        } else if let Some(format) = format_of(&path, format) {
            out.push(SourceFile { path, format });
        }
    }
    Ok(())
}

fn format_of(path: &Path, format: CorpusFormat) -> Option<Format> {
    match format {
        CorpusFormat::Text => Some(Format::Text),
        CorpusFormat::Lines => Some(Format::Lines),
        CorpusFormat::Jsonl => Some(Format::Jsonl),
        CorpusFormat::Parquet => Some(Format::Parquet),
        CorpusFormat::Auto => match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" => Some(Format::Text),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "parquet" => Some(Format::Parquet),
            _ => None,
        },
    }
}

/// A path of the corpus that cannot be read.
pub(super) fn unreadable(path: &Path, source: impl Into<io::Error>) -> Error {
    Error::PathNotReadable {
        path: path.to_owned(),
        source: source.into(),
    }
}
