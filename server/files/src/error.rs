//! Why a file cannot be read.

use std::{io, path::PathBuf};

use crate::Kind;

/// A file that cannot be opened or read. Callers add the path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the operating system said.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path leads to something else than a regular file.
    #[error("it is {0}, not a regular file")]
    NotAFile(Kind),
    /// It lies where nobody's path may lead.
    #[error("it lies in {}, of which nothing is read", .0.display())]
    Denied(PathBuf),
    /// The file is longer than its reader accepts.
    #[error("it has more than {limit} bytes, the most that are read")]
    TooLong {
        /// Most bytes that are read.
        limit: u64,
    },
    /// The file should be text.
    #[error("it is not UTF-8")]
    NotUtf8,
}

impl Error {
    /// Whether the path leads nowhere.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(source) if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file was read and its content is at fault: it is too long, or no text.
    pub fn is_of_content(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::NotUtf8)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(source) => source,
            other => Self::new(io::ErrorKind::InvalidInput, other),
        }
    }
}
