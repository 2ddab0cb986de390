//! Files and folders that are there whole or not at all, also after a power cut: written beside their place, synced, renamed,
//! and the folder synced. A crash leaves at most a file that ends in [`SCRATCH`], which nothing reads.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Ending of files that are being written.
pub const SCRATCH: &str = "tmp";

/// A file on its way to its place. Dropped without [`WholeFile::commit`], it leaves nothing.
#[derive(Debug)]
pub struct WholeFile {
    file: fs_err::File,
    scratch: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl WholeFile {
    /// Begins a file that will lie at `target`; its folder must exist.
    pub fn create(target: &Path) -> io::Result<Self> {
        let scratch = scratch_path(target);
        let file = fs_err::File::create(&scratch)?;
        Ok(Self {
            file,
            scratch,
            target: target.to_owned(),
            committed: false,
        })
    }

    /// Puts the file in its place, for good: when this returns, it outlives a power cut.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        rename(&self.scratch, &self.target)?;
        self.committed = true;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.committed {
            // The file is of no use to anybody, and nothing reads it: a failure here changes nothing.
            let _ = fs_err::remove_file(&self.scratch);
        }
    }
}

/// Writes the file at `target`, which has these bytes or its old ones whatever happens.
pub fn write(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::create(target)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Writes the file at `target` if there is none: of several that do so at once one is the first, and what it wrote stays.
pub fn write_new(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::create(target)?;
    file.write_all(bytes)?;
    file.file.sync_all()?;
    match fs_err::hard_link(&file.scratch, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.and_then(|()| sync_folder(parent(target))),
    }
}

/// Renames a file whose content is synced, so that its new name outlives a power cut.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs_err::rename(from, to)?;
    sync_folder(parent(to))
}

/// Renames a folder that was filled just now, so that it outlives a power cut with everything in it. Both names must lie on
/// one file system.
pub fn rename_folder(from: &Path, to: &Path) -> io::Result<()> {
    sync_content(from)?;
    rename(from, to)
}

/// Makes the folder `dir` and what leads to it, for good.
pub fn create_folder(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent(dir);
    create_folder(parent)?;
    match fs_err::create_dir(dir) {
        // Somebody else made it in the meantime.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made?,
    }
    sync_folder(parent)
}

/// Makes the entries of a folder outlive a power cut, where the system lets us: a folder that may be written but not read
/// cannot be synced, and some file systems know no such thing.
pub fn sync_folder(dir: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match fs_err::File::open(dir).and_then(|folder| folder.sync_all()) {
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

/// One call for a whole folder: a file at a time, thousands of small ones would take minutes.
#[cfg(target_os = "linux")]
fn sync_content(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs_err::File::open(dir)?)?)
}

/// A file at a time where the system knows no better way.
#[cfg(not(target_os = "linux"))]
fn sync_content(dir: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_content(&path)?;
        } else {
            fs_err::File::open(&path)?.sync_all()?;
        }
    }
    sync_folder(dir)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// A name of its own for each attempt: two processes that make the same file must not write into one.
fn scratch_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(format!(
        ".{:016x}.{SCRATCH}",
        RandomState::new().build_hasher().finish()
    ));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);

        write(&path, b"whole").unwrap();
        write(&path, b"other").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"other");
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write(&dir.path().join("absent/file"), b"x").is_err());
    }

    #[test]
    fn the_first_to_write_a_file_anew_is_the_one_whose_bytes_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_new(&path, b"first").unwrap();
        write_new(&path, b"second").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"first");
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_new(&dir.path().join("absent/file"), b"x").is_err());
    }

    #[test]
    fn folders_are_made_and_moved() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        create_folder(&deep).unwrap();
        create_folder(&deep).unwrap();
        write(&deep.join("file"), b"x").unwrap();
        rename_folder(&deep, &dir.path().join("d")).unwrap();
        assert_eq!(fs_err::read(dir.path().join("d/file")).unwrap(), b"x");
        fs_err::write(dir.path().join("no-folder"), b"x").unwrap();
        assert!(create_folder(&dir.path().join("no-folder")).is_err());
        assert!(create_folder(&dir.path().join("no-folder/e")).is_err());
        assert_eq!(parent(Path::new("x")), Path::new("."));
    }
}
