//! What lies where a file should, and is none: a FIFO that nobody writes to, a device that never ends, a socket, a folder.

use std::{os::unix::fs::symlink, path::Path};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Something that is no file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Impostor {
    Fifo,
    /// A link to `/dev/zero`.
    Device,
    Socket,
    Folder,
}

impl Impostor {
    pub(crate) const ALL: [Self; 4] = [Self::Fifo, Self::Device, Self::Socket, Self::Folder];

    /// How the server calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fifo => "a FIFO",
            Self::Device => "a device",
            Self::Socket => "a socket",
            Self::Folder => "a folder",
        }
    }

    /// Puts it in the place of the file at `path`, if there is one.
    pub(crate) fn put(self, path: &Path) {
        if path.exists() {
            fs_err::remove_file(path).unwrap();
        }
        let node = |kind| mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
        match self {
            Self::Fifo => node(FileType::Fifo),
            Self::Device => symlink("/dev/zero", path).unwrap(),
            // Not by binding it, which takes short paths alone.
            Self::Socket => node(FileType::Socket),
            Self::Folder => fs_err::create_dir(path).unwrap(),
        }
    }
}
