//! A file of weights, read piece by piece.
//!
//! The file is somebody else's and is not mapped: one that is cut short while it is mapped ends the process at the next look at
//! it, while a read that finds too little is an error. Nothing is lost by it, for loading reads every byte once in any case.

use std::{
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use latentd_files::Interrupt;

use crate::error::LoadError;

/// Bytes that are read at once where all of a file passes by.
const PIECE: usize = 16 << 20;

/// A regular file, opened for reading.
#[derive(Debug)]
pub(crate) struct WeightFile {
    path: PathBuf,
    file: fs_err::File,
    /// Its length when it was opened.
    length: usize,
    interrupt: Interrupt,
}

impl WeightFile {
    /// Opens the file at `path`. What is read of it afterwards ends when `interrupt` is raised.
    ///
    /// # Errors
    /// [`LoadError::PathNotReadable`] when it is absent, unreadable, or not a regular file.
    pub(crate) fn open(path: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        let file = latentd_files::open(path).map_err(|error| LoadError::unreadable(path, error))?;
        let metadata = file.metadata();
        let length = metadata.map_err(|error| LoadError::unreadable(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length: length.len() as usize,
            interrupt: interrupt.clone(),
        })
    }

    /// Where it was found.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length when it was opened, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Fills `bytes` with what lies from byte `at` on.
    ///
    /// # Errors
    /// [`LoadError::PathNotReadable`], also for a file that became shorter, and [`LoadError::Interrupted`].
    pub(crate) fn read_at(&self, at: usize, bytes: &mut [u8]) -> Result<(), LoadError> {
        for (index, piece) in bytes.chunks_mut(PIECE).enumerate() {
            let interrupted = |_| LoadError::Interrupted {
                path: self.path.clone(),
            };
            self.interrupt.check().map_err(interrupted)?;
            self.read_piece(at + index * PIECE, piece)?;
        }
        Ok(())
    }

    fn read_piece(&self, at: usize, piece: &mut [u8]) -> Result<(), LoadError> {
        let read = self.file.file().read_exact_at(piece, at as u64);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let detail = "it became shorter while it was read";
                LoadError::unreadable(&self.path, io::Error::new(error.kind(), detail))
            }
            _ => LoadError::unreadable(&self.path, error),
        })
    }

    /// Its first `length` bytes, or all if there are fewer.
    pub(crate) fn head(&self, length: usize) -> Result<Vec<u8>, LoadError> {
        let mut bytes = vec![0; length.min(self.length)];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// BLAKE3 of all of it.
    pub(crate) fn digest(&self) -> Result<blake3::Hash, LoadError> {
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; PIECE.min(self.length)];
        for start in (0..self.length).step_by(PIECE) {
            let length = PIECE.min(self.length - start);
            let piece = piece.get_mut(..length).unwrap_or_default();
            self.read_at(start, piece)?;
            hasher.update_rayon(piece);
        }
        Ok(hasher.finalize())
    }

    /// Whether `span` holds the same bytes as `other_span` of the file `other`.
    pub(crate) fn same(
        &self,
        span: &Range<usize>,
        other: &Self,
        other_span: &Range<usize>,
    ) -> Result<bool, LoadError> {
        if span.len() != other_span.len() {
            return Ok(false);
        }
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for start in (0..span.len()).step_by(PIECE) {
            let length = PIECE.min(span.len() - start);
            one.resize(length, 0);
            two.resize(length, 0);
            self.read_at(span.start + start, &mut one)?;
            other.read_at(other_span.start + start, &mut two)?;
            if one != two {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_short_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs_err::write(&path, vec![7; 3 * 4096]).unwrap();
        let file = WeightFile::open(&path, &Interrupt::new()).unwrap();
        assert_eq!(file.head(2).unwrap(), [7, 7]);
        let whole = 0..file.length();
        assert!(file.same(&whole, &file, &whole).unwrap());
        assert_eq!(file.digest().unwrap(), blake3::hash(&[7; 3 * 4096]));

        let shorter = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        shorter.set_len(4096).unwrap();
        let error = file.read_at(8000, &mut [0; 100]).unwrap_err();
        assert!(error.to_string().contains("became shorter"), "{error}");
        assert!(file.digest().is_err());
        assert!(file.same(&whole, &file, &whole).is_err());
    }

    #[test]
    fn reading_ends_when_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        // A sparse file: it takes no room, and reading all of it would take minutes.
        let sparse = fs_err::File::create(&path).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let (interrupt, guard) = Interrupt::guarded(None);
        let file = WeightFile::open(&path, &interrupt).unwrap();
        let reading = std::thread::Builder::new()
            .name("reads".to_owned())
            .spawn(move || file.digest())
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(guard);
        let error = reading.join().unwrap().unwrap_err();
        assert!(matches!(error, LoadError::Interrupted { .. }), "{error}");
    }
}
