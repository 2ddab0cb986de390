//! Files that appear whole or not at all, hashed on the way. A crash leaves at most a file that ends in [`SCRATCH`], which
//! nothing reads.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use fs_err as fs;
pub(crate) use latentd_files::SCRATCH;
use latentd_files::WholeFile;

use crate::Error;

/// Bytes gathered before they are hashed and written.
const BUFFER: usize = 1 << 20;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// BLAKE3 of its bytes, in hexadecimal.
    pub(crate) digest: String,
    /// Its length.
    pub(crate) bytes: u64,
}

/// Hashes and counts what passes through. Sits under a buffer, so that each call hashes a large piece.
struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(piece)?;
        self.hasher.update(piece.get(..taken).unwrap_or(piece));
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A file on its way to its place. Dropped without [`AtomicFile::commit`], it leaves nothing.
pub(crate) struct AtomicFile {
    out: BufWriter<Hashing<WholeFile>>,
    target: PathBuf,
}

impl AtomicFile {
    /// Begins a file that will lie at `target`; its folder must exist.
    pub(crate) fn create(target: &Path) -> Result<Self, Error> {
        let inner = WholeFile::create(target).map_err(|source| Error::storage(target, source))?;
        let hashing = Hashing {
            inner,
            hasher: blake3::Hasher::new(),
            bytes: 0,
        };
        Ok(Self {
            out: BufWriter::with_capacity(BUFFER, hashing),
            target: target.to_owned(),
        })
    }

    /// Where the file will lie.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out
            .write_all(bytes)
            .map_err(|source| Error::storage(&self.target, source))
    }

    /// Puts the file in its place, for good: when this returns, it outlives a power cut.
    pub(crate) fn commit(self) -> Result<Written, Error> {
        let failed = |source| Error::storage(&self.target, source);
        let hashing = self.out.into_inner();
        let hashing = hashing.map_err(|error| failed(error.into_error()))?;
        hashing.inner.commit().map_err(failed)?;
        Ok(Written {
            digest: hashing.hasher.finalize().to_hex().to_string(),
            bytes: hashing.bytes,
        })
    }
}

/// Makes the folder `dir`, and what leads to it.
pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    latentd_files::create_folder(dir).map_err(|source| Error::storage(dir, source))
}

/// Removes what an interrupted build left in `dir`, but no file that is complete.
pub(crate) fn sweep(dir: &Path) -> Result<(), Error> {
    let failed = |source| Error::storage(dir, source);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == SCRATCH) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// BLAKE3 of a file, in hexadecimal, in bounded memory.
pub(crate) fn digest_of(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::storage(path, source);
    let file = latentd_files::open(path).map_err(|error| Error::of_file(path, error))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(failed)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"whole").unwrap();
        let written = file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(written.bytes, 5);
        assert_eq!(written.digest, blake3::hash(b"whole").to_hex().to_string());
        assert_eq!(written.digest, digest_of(&path).unwrap());
    }

    #[test]
    fn a_full_disk_has_its_own_error() {
        let full = Path::new("/dev/full");
        let mut out = BufWriter::new(Hashing {
            inner: fs::OpenOptions::new().write(true).open(full).unwrap(),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        });
        let failure = out
            .write_all(&vec![0; 1 << 16])
            .and_then(|()| out.flush())
            .unwrap_err();
        assert!(matches!(
            Error::storage(full, failure),
            Error::DiskFull { .. }
        ));
        let _ = out.into_parts();
    }

    #[test]
    fn an_interrupted_build_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.safetensors.tmp"), b"x").unwrap();
        fs::write(dir.path().join("a.safetensors"), b"x").unwrap();
        sweep(dir.path()).unwrap();
        assert!(dir.path().join("a.safetensors").exists());
        assert!(!dir.path().join("a.safetensors.tmp").exists());
    }
}
