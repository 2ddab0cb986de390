//! One file of a corpus as bytes: opened, checked to be what its name says, unpacked.
//!
//! A name that says otherwise than the first bytes is refused: neither is known to be right. Unpacking streams; whoever reads
//! bounds what it takes.

use std::{
    fmt,
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use latentd_files::Interrupt;

use super::files::unreadable;
use crate::Error;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    /// One gzip member or several.
    Gzip,
    /// One zstd frame or several.
    Zstd,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// First bytes that no text begins with, and whose they are.
const MAGICS: [(&[u8], &str); 9] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PAR1\x15", "Parquet"),
    (b"ARROW1\0\0", "Arrow"),
];

/// What comes behind `BZh` and a digit.
const BZIP2_BLOCK: &[u8] = b"1AY&SY";

/// The bytes of a text file.
pub(super) struct Source {
    path: PathBuf,
    packing: Packing,
    bytes: Box<dyn Read + Send>,
    interrupt: Interrupt,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("path", &self.path)
            .field("packing", &self.packing)
            .finish_non_exhaustive()
    }
}

/// Opens a file of a corpus.
pub(super) fn open(path: &Path) -> Result<std::fs::File, Error> {
    let file = latentd_files::open(path).map_err(|source| unreadable(path, source))?;
    Ok(file.into_parts().0)
}

impl Source {
    /// Opens a file of text that is packed in this way. Reading ends when `interrupt` is raised.
    pub(super) fn open(
        path: &Path,
        packing: Packing,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let failed = |source| unreadable(path, source);
        let mut file = open(path)?;
        let mut start = Vec::new();
        file.by_ref()
            .take(16)
            .read_to_end(&mut start)
            .and_then(|_| file.rewind())
            .map_err(failed)?;
        check(&start, packing).map_err(|detail| Error::MalformedCorpus {
            path: path.to_owned(),
            line: None,
            detail,
        })?;
        let bytes: Box<dyn Read + Send> = match packing {
            Packing::Plain => Box::new(file),
            Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))),
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(file).map_err(failed)?),
        };
        Ok(Self {
            path: path.to_owned(),
            packing,
            bytes,
            interrupt: interrupt.clone(),
        })
    }

    /// What comes from elsewhere, as a file that is called `name`.
    pub(super) fn of(name: &Path, bytes: Box<dyn Read + Send>) -> Self {
        Self {
            path: name.to_owned(),
            packing: Packing::Plain,
            bytes,
            interrupt: Interrupt::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why it cannot be read on.
    pub(super) fn failed(&self, source: io::Error) -> Error {
        if self.interrupt.is_raised() {
            let path = self.path.clone();
            return Error::Interrupted { path };
        }
        // The system's own errors have a number; the others come from unpacking.
        if self.packing == Packing::Plain || source.raw_os_error().is_some() {
            return unreadable(&self.path, source);
        }
        Error::MalformedCorpus {
            path: self.path.clone(),
            line: None,
            detail: format!("the {} data is damaged or cut off: {source}", self.packing),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        self.bytes.read(buffer)
    }
}

/// Whether a file that begins so can be packed in this way.
fn check(start: &[u8], packing: Packing) -> Result<(), String> {
    let found = MAGICS.iter().find(|(magic, name)| {
        let block = start.get(4..4 + BZIP2_BLOCK.len());
        start.starts_with(magic) && (*name != "bzip2" || block == Some(BZIP2_BLOCK))
    });
    // zstd allows frames of other content, which are skipped, before the first of its own.
    let skippable = matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    match (packing, found.map(|(_, name)| *name)) {
        (Packing::Plain, None) if !skippable => Ok(()),
        (Packing::Gzip, Some("gzip")) | (Packing::Zstd, Some("zstd")) => Ok(()),
        (Packing::Zstd, None) if skippable => Ok(()),
        (Packing::Plain, Some(name @ ("gzip" | "zstd"))) => {
            let ending = if name == "gzip" { ".gz" } else { ".zst" };
            Err(format!(
                "it holds {name} data, and its name does not end in {ending}"
            ))
        }
        (Packing::Plain, name) => {
            let name = name.unwrap_or("zstd");
            Err(format!("it holds {name} data, which is not read as text"))
        }
        (packing, name) => {
            let name = name.map_or("something else".to_owned(), |name| format!("{name} data"));
            Err(format!(
                "its name says that it is packed by {packing}, and it holds {name}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_and_the_first_bytes_must_agree() {
        let gzip = b"\x1f\x8b\x08\0";
        let zstd = b"\x28\xb5\x2f\xfd\x04";
        for text in [
            &b""[..],
            b"text",
            b"BZhold",
            b"PAR1 is a word",
            b"{\"text\":1}",
        ] {
            assert_eq!(check(text, Packing::Plain), Ok(()));
            assert!(check(text, Packing::Gzip).is_err());
            assert!(check(text, Packing::Zstd).is_err());
        }
        assert_eq!(check(gzip, Packing::Gzip), Ok(()));
        assert_eq!(check(zstd, Packing::Zstd), Ok(()));
        assert_eq!(check(b"\x50\x2a\x4d\x18", Packing::Zstd), Ok(()));
        let message = check(gzip, Packing::Plain).unwrap_err();
        assert_eq!(
            message,
            "it holds gzip data, and its name does not end in .gz"
        );
        let message = check(gzip, Packing::Zstd).unwrap_err();
        assert!(
            message.ends_with("packed by zstd, and it holds gzip data"),
            "{message}"
        );
        let bzip2 = check(b"BZh91AY&SY", Packing::Plain).unwrap_err();
        assert!(bzip2.contains("bzip2"), "{bzip2}");
    }
}
