//! What a path leads to.

use std::{fmt, fs::FileType, io, os::unix::fs::FileTypeExt, path::Path};

/// What lies at the end of a path, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A named pipe: who opens it waits for somebody at the other end.
    Fifo,
    /// A socket.
    Socket,
    /// A device, such as `/dev/zero`.
    Device,
    /// Something that this program does not know.
    Unknown,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a regular file",
            Self::Folder => "a folder",
            Self::Fifo => "a FIFO (named pipe)",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Unknown => "of an unknown kind",
        })
    }
}

impl From<FileType> for Kind {
    fn from(found: FileType) -> Self {
        if found.is_file() {
            Self::File
        } else if found.is_dir() {
            Self::Folder
        } else if found.is_fifo() {
            Self::Fifo
        } else if found.is_socket() {
            Self::Socket
        } else if found.is_char_device() || found.is_block_device() {
            Self::Device
        } else {
            Self::Unknown
        }
    }
}

/// Looks what is at `path`, links followed, without opening it.
///
/// # Errors
/// The path leads nowhere, or may not be followed.
pub fn kind(path: &Path) -> io::Result<Kind> {
    Ok(fs_err::metadata(path)?.file_type().into())
}
