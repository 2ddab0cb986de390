//! Corpora that callers hand over: their documents become one file of JSON lines, which is named by what it holds.
//!
//! A file that is being written has a name of its own and is locked by the process that writes it, so that whoever cleans up
//! can tell it from what a process that was killed left behind.

use std::{
    collections::HashSet,
    hash::{BuildHasher, Hasher, RandomState},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use latentd_domain::CorpusId;
use serde::Serialize;

use super::{CorpusDigest, MAX_DOCUMENT_BYTES, Skipped};
use crate::{
    Error,
    files::{self, SCRATCH},
};

/// Ending of a complete corpus.
const ENDING: &str = "jsonl";
/// Field of each line that holds the text.
pub const STORED_FIELD: &str = "text";
/// Characters of the digest that name a corpus.
const ID_LENGTH: usize = 32;
/// Age below which a file is left alone whatever its state: its owner may be about to lock it, or to ask for it.
const GRACE: Duration = Duration::from_mins(10);

/// A corpus that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCorpus {
    /// Its name, made of its documents.
    pub id: CorpusId,
    /// Documents, blank ones included.
    pub documents: u64,
    /// Length of its file.
    pub bytes: u64,
}

/// Writes a corpus. Dropped without [`CorpusWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub struct CorpusWriter {
    out: BufWriter<fs_err::File>,
    dir: PathBuf,
    scratch: PathBuf,
    digest: CorpusDigest,
    documents: u64,
    bytes: u64,
    limit: u64,
    has_text: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
}

impl CorpusWriter {
    /// Begins a corpus of at most `limit` bytes in the folder `dir`, which is made if it is not there.
    pub fn create(dir: &Path, limit: u64) -> Result<Self, Error> {
        files::create_dir(dir)?;
        let unique = RandomState::new().build_hasher().finish();
        let scratch = dir.join(format!("upload-{unique:016x}.{SCRATCH}"));
        let file = fs_err::File::create_new(&scratch);
        let file = file.map_err(|source| Error::storage(&scratch, source))?;
        // A file system without locks has nobody to mistake the file for a dead one before its time has come.
        let _ = file.file().try_lock();
        Ok(Self {
            out: BufWriter::with_capacity(1 << 20, file),
            dir: dir.to_owned(),
            scratch,
            digest: CorpusDigest::new(),
            documents: 0,
            bytes: 0,
            limit,
            has_text: false,
        })
    }

    /// Adds a document.
    ///
    /// Fails with `UploadTooLarge` if the corpus grows over its limit, or the document is longer than a corpus may hold.
    pub fn push(&mut self, text: &str) -> Result<(), Error> {
        let mut line = serde_json::to_vec(&Line { text })
            .map_err(|error| Error::invalid_build(format!("a text is not JSON: {error}")))?;
        if line.len() > MAX_DOCUMENT_BYTES {
            let (document, limit) = (self.documents, MAX_DOCUMENT_BYTES);
            let detail = format!("document {document} is longer than {limit} bytes as JSON");
            return Err(Error::UploadTooLarge { detail });
        }
        line.push(b'\n');
        self.bytes += line.len() as u64;
        if self.bytes > self.limit {
            let detail = format!(
                "the corpus is longer than max_corpus_bytes, {} bytes",
                self.limit
            );
            return Err(Error::UploadTooLarge { detail });
        }
        self.documents += 1;
        self.has_text |= !text.trim().is_empty();
        self.digest.add(text);
        let written = self.out.write_all(&line);
        written.map_err(|source| Error::storage(&self.scratch, source))
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts the corpus in its place, for good.
    ///
    /// Fails with `EmptyCorpus` if no document holds text.
    pub fn finish(mut self) -> Result<StoredCorpus, Error> {
        if !self.has_text {
            return Err(Error::empty_corpus(&Skipped::default()));
        }
        let digest = self.digest.finish();
        let id = digest.get(..ID_LENGTH).unwrap_or(&digest).parse();
        let id: CorpusId = id.map_err(|error| Error::invalid_build(format!("{error}")))?;
        let place = corpus_path(&self.dir, &id);
        let settled = self
            .out
            .flush()
            .and_then(|()| self.out.get_ref().sync_all())
            .and_then(|()| latentd_files::rename(&self.scratch, &place));
        settled.map_err(|source| Error::storage(&place, source))?;
        Ok(StoredCorpus {
            id,
            documents: self.documents,
            bytes: self.bytes,
        })
    }
}

impl Drop for CorpusWriter {
    fn drop(&mut self) {
        // Gone already if the corpus is complete. What a failure leaves here is cleaned up later.
        let _ = fs_err::remove_file(&self.scratch);
    }
}

/// Where the corpus `id` lies in the folder `dir`.
pub fn corpus_path(dir: &Path, id: &CorpusId) -> PathBuf {
    dir.join(format!("{}.{ENDING}", id.id()))
}

/// Notes that the corpus `id` is used now. Says whether it is there.
pub fn touch_corpus(dir: &Path, id: &CorpusId) -> Result<bool, Error> {
    let path = corpus_path(dir, id);
    let touched = latentd_files::open(&path)
        .map_err(std::io::Error::from)
        .and_then(|file| file.file().set_modified(SystemTime::now()))
        .map(|()| true);
    touched.or_else(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Ok(false),
        _ => Err(Error::storage(&path, source)),
    })
}

/// A corpus that lies in a folder of corpora.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCorpus {
    /// Its name.
    pub id: CorpusId,
    /// Length of its file.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// The complete corpora in `dir`, by name.
pub fn list_corpora(dir: &Path) -> Result<Vec<FoundCorpus>, Error> {
    let complete = list(dir)?.into_iter().filter_map(|file| {
        Some(FoundCorpus {
            id: file.id?,
            bytes: file.bytes,
            used: file.used,
        })
    });
    let mut corpora: Vec<FoundCorpus> = complete.collect();
    corpora.sort_by(|a, b| a.id.id().cmp(b.id.id()));
    Ok(corpora)
}

/// Deletes the corpus `id`. Returns the bytes that it took; `None` if it is not there.
pub fn remove_corpus(dir: &Path, id: &CorpusId) -> Result<Option<u64>, Error> {
    let path = corpus_path(dir, id);
    let bytes = match fs_err::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::storage(&path, source)),
    };
    remove(&path)?;
    Ok(Some(bytes))
}

/// What may stay in a folder of corpora.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Time that a corpus is kept after it was last used.
    pub unused: Duration,
    /// Bytes of all files together.
    pub max_bytes: u64,
    /// Corpora that are never deleted.
    pub in_use: HashSet<CorpusId>,
}

/// Deletes what processes that were killed left in `dir`, the corpora that nobody used for long, and, while the folder holds
/// more than it may, those that were unused the longest. Returns the bytes that are left.
pub fn clean_corpora(dir: &Path, keep: &Keep, now: SystemTime) -> Result<u64, Error> {
    let mut left = 0;
    let mut idle = Vec::new();
    for file in list(dir)? {
        let age = now.duration_since(file.used).unwrap_or_default();
        let dead = match &file.id {
            None => age > GRACE && unlocked(&file.path),
            Some(id) if keep.in_use.contains(id) => false,
            Some(_) => age > keep.unused,
        };
        if dead {
            remove(&file.path)?;
            continue;
        }
        left += file.bytes;
        if file.id.is_some_and(|id| !keep.in_use.contains(&id)) && age > GRACE {
            idle.push((file.used, file.path, file.bytes));
        }
    }
    idle.sort();
    for (_, path, bytes) in idle {
        if left <= keep.max_bytes {
            break;
        }
        remove(&path)?;
        left = left.saturating_sub(bytes);
    }
    Ok(left)
}

/// Bytes of all files in `dir`.
pub fn corpora_bytes(dir: &Path) -> Result<u64, Error> {
    Ok(list(dir)?.iter().map(|file| file.bytes).sum())
}

struct Found {
    path: PathBuf,
    /// `None` while it is being written.
    id: Option<CorpusId>,
    used: SystemTime,
    bytes: u64,
}

fn list(dir: &Path) -> Result<Vec<Found>, Error> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::storage(dir, source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| Error::storage(dir, source))?.path();
        let id = match path.extension().and_then(|ending| ending.to_str()) {
            Some(SCRATCH) => None,
            Some(ENDING) => {
                let id = path
                    .file_stem()
                    .and_then(|stem| stem.to_str()?.parse().ok());
                if id.is_none() {
                    continue;
                }
                id
            }
            _ => continue,
        };
        // Another process may have ended its upload, or cleaned up, meanwhile.
        let Ok(metadata) = fs_err::metadata(&path) else {
            continue;
        };
        let used = metadata.modified();
        found.push(Found {
            id,
            used: used.map_err(|source| Error::storage(&path, source))?,
            bytes: metadata.len(),
            path,
        });
    }
    Ok(found)
}

/// Whether the process that wrote the file is gone.
fn unlocked(path: &Path) -> bool {
    latentd_files::open(path).is_ok_and(|file| file.file().try_lock().is_ok())
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs_err::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::storage(path, source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &Path, documents: &[&str]) -> Result<StoredCorpus, Error> {
        let mut writer = CorpusWriter::create(dir, 1000)?;
        for document in documents {
            writer.push(document)?;
        }
        writer.finish()
    }

    fn keep(max_bytes: u64) -> Keep {
        Keep {
            unused: Duration::from_hours(1),
            max_bytes,
            in_use: HashSet::new(),
        }
    }

    #[test]
    fn the_same_documents_are_stored_once() {
        let dir = tempfile::tempdir().unwrap();
        let stored = store(dir.path(), &["a\n\"b\"", "", "🎉"]).unwrap();
        assert_eq!(store(dir.path(), &["a\n\"b\"", "", "🎉"]).unwrap(), stored);
        assert_ne!(
            store(dir.path(), &["a\n\"b\"", "🎉"]).unwrap().id,
            stored.id
        );
        assert_eq!(stored.documents, 3);
        let path = corpus_path(dir.path(), &stored.id);
        assert_eq!(fs_err::metadata(&path).unwrap().len(), stored.bytes);
        let lines = fs_err::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().nth(1), Some(r#"{"text":""}"#));
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_too_large_or_empty_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(600);
        let error = store(dir.path(), &[&long, &long]).unwrap_err();
        assert!(matches!(error, Error::UploadTooLarge { .. }), "{error}");
        let error = store(dir.path(), &["", " \n"]).unwrap_err();
        assert!(matches!(error, Error::EmptyCorpus { .. }));
        drop(CorpusWriter::create(dir.path(), 10).unwrap());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_nobody_uses_or_finishes_is_deleted_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let unfinished = dir.path().join("upload-0.tmp");
        fs_err::write(&unfinished, "half").unwrap();
        let old = store(dir.path(), &["old"]).unwrap();
        let needed = store(dir.path(), &["needed"]).unwrap();
        let writing = CorpusWriter::create(dir.path(), 10).unwrap();
        let later = SystemTime::now() + Duration::from_hours(2);
        let mut rules = keep(1000);
        rules.in_use.insert(needed.id.clone());
        let left = clean_corpora(dir.path(), &rules, SystemTime::now()).unwrap();
        assert_eq!(left, 4 + old.bytes + needed.bytes, "nothing is old enough");
        let left = clean_corpora(dir.path(), &rules, later).unwrap();
        assert_eq!(left, needed.bytes);
        assert!(!unfinished.exists() && writing.scratch.exists());
        assert!(!touch_corpus(dir.path(), &old.id).unwrap());
        assert!(touch_corpus(dir.path(), &needed.id).unwrap());
        assert_eq!(
            clean_corpora(Path::new("/nowhere/at/all"), &rules, later).unwrap(),
            0
        );
    }

    #[test]
    fn complete_corpora_are_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut stored = ["a", "b", "c"].map(|text| store(dir.path(), &[text]).unwrap());
        stored.sort_by(|a, b| a.id.id().cmp(b.id.id()));
        let _unfinished = CorpusWriter::create(dir.path(), 10).unwrap();
        let listed = list_corpora(dir.path()).unwrap();
        let name = |corpus: &FoundCorpus| (corpus.id.clone(), corpus.bytes);
        assert_eq!(
            listed.iter().map(name).collect::<Vec<_>>(),
            stored
                .each_ref()
                .map(|corpus| (corpus.id.clone(), corpus.bytes))
        );
        let [first, ..] = &stored;
        assert_eq!(
            remove_corpus(dir.path(), &first.id).unwrap(),
            Some(first.bytes)
        );
        assert_eq!(remove_corpus(dir.path(), &first.id).unwrap(), None);
        assert_eq!(list_corpora(dir.path()).unwrap().len(), 2);
    }

    #[test]
    fn those_unused_the_longest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let mut stored = Vec::new();
        for (name, minutes) in [("first", 40), ("second", 30), ("third", 20)] {
            let one = store(dir.path(), &[name]).unwrap();
            let file = fs_err::File::open(corpus_path(dir.path(), &one.id)).unwrap();
            let used = now - Duration::from_mins(minutes);
            file.file().set_modified(used).unwrap();
            stored.push(one);
        }
        let room = stored[1].bytes + stored[2].bytes;
        assert_eq!(clean_corpora(dir.path(), &keep(room), now).unwrap(), room);
        assert!(!corpus_path(dir.path(), &stored[0].id).exists());
        assert_eq!(corpora_bytes(dir.path()).unwrap(), room);
    }
}
