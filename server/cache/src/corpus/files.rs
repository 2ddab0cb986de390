//! Finds the files of a corpus, and what format each has.

use std::{
    collections::HashSet,
    ffi::OsStr,
    io::{self, Read},
    path::{Path, PathBuf},
};

use latentd_domain::{Corpus, CorpusFormat};
use latentd_files::{Interrupt, Kind};
use serde::Deserialize;

use super::{
    skipped::Skipped,
    source::{self, Packing},
};
use crate::Error;

/// Folders within folders that are followed; more is taken for a loop of links.
const MAX_DEPTH: usize = 64;
/// Longest `state.json` that is read: it names some hundred thousand files.
const MAX_STATE: u64 = 16 << 20;
/// Endings that are read, for messages.
const ENDINGS: &str =
    ".txt, .jsonl, .ndjson, .json, each also with .gz or .zst behind it, .parquet and .arrow";

/// A file of a corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) packing: Packing,
}

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Lines,
    Jsonl,
    /// JSON values one after the other, or in an array, wherever their lines end.
    Json,
    Parquet,
    Arrow,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<SourceFile>,
    pub(super) skipped: Skipped,
}

/// The files of `corpus`. In folders, hidden files are left out, what `datasets` writes beside its tables, and with format
/// auto those with an ending that tells nothing.
pub(super) fn find(corpus: &Corpus, interrupt: &Interrupt) -> Result<Found, Error> {
    let mut found = Found::default();
    for path in corpus.paths.iter().map(PathBuf::from) {
        let kind = latentd_files::kind(&path).map_err(|source| unreadable(&path, source))?;
        if kind == Kind::Folder {
            walk(&path, (corpus.format, interrupt), 0, &mut found)?;
            continue;
        }
        let (format, packing) =
            format_of(&path, corpus.format).map_err(|detail| Error::MalformedCorpus {
                path: path.clone(),
                line: None,
                detail: format!(
                    "{detail}; read are {ENDINGS}; give the format if it is one of these"
                ),
            })?;
        found.files.push(SourceFile {
            path,
            format,
            packing,
        });
    }
    Ok(found)
}

fn walk(
    dir: &Path,
    (format, interrupt): (CorpusFormat, &Interrupt),
    depth: usize,
    found: &mut Found,
) -> Result<(), Error> {
    interrupt.check().map_err(|_| Error::Interrupted {
        path: dir.to_owned(),
    })?;
    let failed = |source| unreadable(dir, source);
    if depth > MAX_DEPTH {
        return Err(failed(io::Error::other("too many folders within folders")));
    }
    let entries = fs_err::read_dir(dir).map_err(failed)?;
    let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    let dataset = Dataset::in_folder(dir, entries.iter().map(fs_err::DirEntry::file_name))?;
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") {
            found.skipped.add(&path, "hidden");
        } else if let Some(why) = dataset.leaves_out(&name) {
            found.skipped.add(&path, why);
        // Not the entry's own type: links are followed.
        } else if latentd_files::kind(&path).map_err(failed)? == Kind::Folder {
            walk(&path, (format, interrupt), depth + 1, found)?;
        } else {
            match format_of(&path, format) {
                Ok((format, packing)) => found.files.push(SourceFile {
                    path,
                    format,
                    packing,
                }),
                Err(why) => found.skipped.add(&path, &why),
            }
        }
    }
    Ok(())
}

/// What `datasets` (Hugging Face) wrote into a folder.
enum Dataset {
    /// Nothing.
    No,
    /// Tables of its cache, with a description.
    Cached,
    /// A dataset that was saved: these are its tables.
    Saved(HashSet<String>),
}

/// `state.json` of a dataset that was saved.
#[derive(Deserialize)]
struct State {
    #[serde(rename = "_data_files")]
    data_files: Vec<DataFile>,
}

#[derive(Deserialize)]
struct DataFile {
    filename: String,
}

impl Dataset {
    fn in_folder(
        dir: &Path,
        names: impl Iterator<Item = std::ffi::OsString>,
    ) -> Result<Self, Error> {
        let names: HashSet<_> = names.collect();
        if !names.contains(OsStr::new("dataset_info.json")) {
            return Ok(Self::No);
        }
        if !names.contains(OsStr::new("state.json")) {
            return Ok(Self::Cached);
        }
        let path = dir.join("state.json");
        let mut json = Vec::new();
        let read = source::open(&path)?.take(MAX_STATE).read_to_end(&mut json);
        read.map_err(|source| unreadable(&path, source))?;
        let malformed = |detail| Error::MalformedCorpus {
            path: path.clone(),
            line: None,
            detail,
        };
        let state: State = serde_json::from_slice(&json).map_err(|error| {
            malformed(format!("it does not name the files of a dataset: {error}"))
        })?;
        let tables: HashSet<String> = state.data_files.into_iter().map(|it| it.filename).collect();
        if let Some(missing) = tables.iter().find(|name| !names.contains(OsStr::new(name))) {
            return Err(malformed(format!(
                "the file `{missing}` of the dataset is not there"
            )));
        }
        Ok(Self::Saved(tables))
    }

    /// Why a file of the folder is no part of the corpus, if it is none.
    fn leaves_out(&self, name: &OsStr) -> Option<&'static str> {
        let name = name.to_str().unwrap_or_default();
        let is = |names: &[&str]| names.contains(&name);
        match self {
            _ if is(&["dataset_dict.json", "dataset_infos.json"]) => Some("describes a dataset"),
            Self::No => None,
            _ if is(&["dataset_info.json"]) => Some("describes a dataset"),
            Self::Cached if name.starts_with("cache-") => Some("a result that datasets keeps"),
            Self::Cached => None,
            Self::Saved(_) if is(&["state.json"]) => Some("describes a dataset"),
            Self::Saved(tables) => (!tables.contains(name)).then_some("no part of the dataset"),
        }
    }
}

/// Format and packing of a file, or why they cannot be told.
fn format_of(path: &Path, format: CorpusFormat) -> Result<(Format, Packing), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let (stem, packing) = match name.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Packing::Gzip),
        Some((stem, "zst" | "zstd")) => (stem, Packing::Zstd),
        _ => (name.as_str(), Packing::Plain),
    };
    let ending = stem.rsplit_once('.').map(|(_, ending)| ending);
    let format = match (format, ending) {
        (CorpusFormat::Text, _) | (CorpusFormat::Auto, Some("txt" | "text")) => Format::Text,
        (CorpusFormat::Lines, _) => Format::Lines,
        (CorpusFormat::Jsonl | CorpusFormat::Auto, Some("json")) => Format::Json,
        (CorpusFormat::Jsonl, _) | (CorpusFormat::Auto, Some("jsonl" | "ndjson")) => Format::Jsonl,
        (CorpusFormat::Parquet, _) | (CorpusFormat::Auto, Some("parquet")) => Format::Parquet,
        (CorpusFormat::Arrow, _) | (CorpusFormat::Auto, Some("arrow")) => Format::Arrow,
        (CorpusFormat::Auto, Some(ending)) => {
            return Err(format!("files that end in .{ending} are not read"));
        }
        (CorpusFormat::Auto, None) => return Err("its name does not say what it is".to_owned()),
    };
    if packing != Packing::Plain && matches!(format, Format::Parquet | Format::Arrow) {
        return Err("tables that are packed as a whole are not read".to_owned());
    }
    Ok((format, packing))
}

/// A path of the corpus that cannot be read.
pub(super) fn unreadable(path: &Path, source: impl Into<io::Error>) -> Error {
    Error::PathNotReadable {
        path: path.to_owned(),
        source: source.into(),
    }
}
