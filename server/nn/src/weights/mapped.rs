//! A file mapped into memory for reading: the one place of this crate that needs `unsafe`.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use memmap2::Mmap;

use crate::error::LoadError;

/// A regular file, mapped read-only.
#[derive(Debug)]
pub(crate) struct Mapped {
    path: PathBuf,
    map: Mmap,
}

impl Mapped {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// [`LoadError::PathNotReadable`] when it is absent, unreadable, or not a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let file = latentd_files::open(path).map_err(|error| LoadError::unreadable(path, error))?;
        let map = map_file(file.file()).map_err(|error| LoadError::unreadable(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            map,
        })
    }

    /// Where it was found.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its contents.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The bytes in `span`; empty where the span leaves the file, which no caller asks for: spans are checked when the
    /// header is read.
    pub(crate) fn span(&self, span: &Range<usize>) -> &[u8] {
        self.bytes().get(span.clone()).unwrap_or_default()
    }
}

#[expect(
    unsafe_code,
    reason = "mapping spares a copy of the weights. Sound as long as nobody changes the file while it is mapped: weight \
              files are written once and then renamed into place, a map lives only while a model loads, and every \
              value read is checked as data from outside, so even a changed byte can only give a wrong number"
)]
fn map_file(file: &std::fs::File) -> io::Result<Mmap> {
    // SAFETY: see the reason above; no reference into the map outlives `Mapped`, and the map is read-only.
    unsafe { Mmap::map(file) }
}
