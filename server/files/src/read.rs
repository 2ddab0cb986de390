//! Opening and reading.

use std::{io::Read, path::Path};

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;

use crate::{Error, Kind, deny, kind};

/// Opens the regular file at `path` for reading. Never waits: a FIFO, a device, a socket and a folder are refused, and so are
/// files that lie in [`deny`]ed places.
///
/// # Errors
/// [`Error::Io`], [`Error::NotAFile`] and [`Error::Denied`].
pub fn open(path: &Path) -> Result<fs_err::File, Error> {
    // A look beforehand, because opening alone can do something to a device, and says little of a socket.
    regular(kind(path)?)?;
    // What lies there may have changed since, so the open does not wait, and what was opened is looked at again.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = fs_err::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    regular(file.metadata()?.file_type().into())?;
    deny::check(&file)?;
    Ok(file)
}

fn regular(kind: Kind) -> Result<(), Error> {
    match kind {
        Kind::File => Ok(()),
        other => Err(Error::NotAFile(other)),
    }
}

/// The bytes of a small file. Reading ends at `limit`, whatever the file's size says.
///
/// # Errors
/// As [`open`], and [`Error::TooLong`].
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Err(Error::TooLong { limit });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLong { limit });
    }
    Ok(bytes)
}

/// The text of a small file. Reading ends at `limit` bytes, whatever the file's size says.
///
/// # Errors
/// As [`read`], and [`Error::NotUtf8`].
pub fn read_text(path: &Path, limit: u64) -> Result<String, Error> {
    String::from_utf8(read(path, limit)?).map_err(|_| Error::NotUtf8)
}

/// The bytes of a small file, or `None` if the path leads nowhere.
///
/// # Errors
/// As [`read`], but for a file that is absent.
pub fn read_if_present(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    present(read(path, limit))
}

/// The text of a small file, or `None` if the path leads nowhere.
///
/// # Errors
/// As [`read_text`], but for a file that is absent.
pub fn read_text_if_present(path: &Path, limit: u64) -> Result<Option<String>, Error> {
    present(read_text(path, limit))
}

fn present<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    #[test]
    fn what_is_no_file_is_named_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        symlink(at("fifo"), at("link")).unwrap();
        fs_err::create_dir(at("folder")).unwrap();
        for (name, kind) in [
            ("fifo", Kind::Fifo),
            ("link", Kind::Fifo),
            ("socket", Kind::Socket),
            ("zero", Kind::Device),
            ("folder", Kind::Folder),
        ] {
            let refusals = [
                open(&at(name)).map(|_| ()),
                read(&at(name), 9).map(|_| ()),
                read_if_present(&at(name), 9).map(|_| ()),
            ];
            for refusal in refusals {
                match refusal {
                    Err(Error::NotAFile(found)) => assert_eq!(found, kind, "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
        let told = std::io::Error::from(open(&at("fifo")).unwrap_err());
        assert_eq!(
            told.to_string(),
            "it is a FIFO (named pipe), not a regular file"
        );
    }

    #[test]
    fn reading_ends_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small");
        fs_err::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read_text(&path, 6).unwrap(), "12345");
        assert!(matches!(read(&path, 4), Err(Error::TooLong { limit: 4 })));
        fs_err::write(&path, b"\xff").unwrap();
        assert!(matches!(read_text(&path, 4), Err(Error::NotUtf8)));
    }

    #[test]
    fn what_is_absent_is_no_error_where_it_may_be() {
        let absent = Path::new("/nowhere/at/all");
        assert!(open(absent).unwrap_err().is_absent());
        assert!(read_if_present(absent, 9).unwrap().is_none());
        assert!(read_text_if_present(absent, 9).unwrap().is_none());
    }
}
