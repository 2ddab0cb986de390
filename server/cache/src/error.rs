//! What can go wrong with a corpus or a cache, and how an I/O error becomes a reason that a client can act on.

use std::{
    io,
    path::{Path, PathBuf},
};

use latentd_domain::{HasReason, Reason, SaeName, autointerp::ExampleId};

use crate::Skipped;

/// An error of the cache.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path of the corpus does not exist or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    PathNotReadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the corpus is not what its format says.
    #[error("{}, {}: {detail}", path.display(), place(*line))]
    MalformedCorpus {
        /// The file.
        path: PathBuf,
        /// Line, or row of a Parquet file, from 1; `None` if the file as a whole is malformed.
        line: Option<u64>,
        /// What is wrong.
        detail: String,
    },
    /// A file of the corpus holds bytes that are not UTF-8.
    #[error("{}, line {line}: not UTF-8", path.display())]
    CorpusNotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first such byte, or row of a Parquet file, from 1.
        line: u64,
    },
    /// A document of the corpus is longer than [`crate::MAX_DOCUMENT_BYTES`].
    #[error("{}, {}: the document is longer than {limit} bytes", path.display(), place(*line))]
    DocumentTooLarge {
        /// The file.
        path: PathBuf,
        /// Line, or row of a Parquet file, from 1; `None` if the file is one document.
        line: Option<u64>,
        /// Most bytes of one document.
        limit: usize,
    },
    /// Nobody waits for the documents any more.
    #[error("{}: interrupted before it was read", path.display())]
    Interrupted {
        /// The file.
        path: PathBuf,
    },
    /// A corpus that is uploaded is over a limit.
    #[error("{detail}")]
    UploadTooLarge {
        /// Which, and the limit.
        detail: String,
    },
    /// The corpus holds no text.
    #[error("the corpus holds no text{left_out}")]
    EmptyCorpus {
        /// What was left out of its folders, as an end of the sentence; empty if nothing was.
        left_out: String,
    },
    /// The disk is full, or a quota is used up.
    #[error("the disk is full: cannot write {}", path.display())]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the cache cannot be read or written.
    #[error("storage failed at {}: {source}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the cache does not fit its manifest, or itself.
    #[error("the cache is corrupt: {}: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// The cache holds no activations of this SAE.
    #[error("the cache holds no activations of `{sae:#}`")]
    UnknownSae {
        /// The SAE asked for.
        sae: SaeName,
    },
    /// The SAE has no such latent.
    #[error("`{sae:#}` has {d_sae} latents, and {latent} is not one of them")]
    UnknownLatent {
        /// The SAE asked.
        sae: SaeName,
        /// The latent asked for.
        latent: u32,
        /// Latents of the SAE.
        d_sae: u32,
    },
    /// The cache has no such window of tokens.
    #[error("the cache has no window {id}")]
    UnknownWindow {
        /// The window asked for.
        id: ExampleId,
    },
    /// The caller handed over what a build cannot store: a defect of the server.
    #[error("cannot build the cache: {detail}")]
    InvalidBuild {
        /// What was handed over.
        detail: String,
    },
}

fn place(line: Option<u64>) -> String {
    line.map_or_else(
        || "the whole file".to_owned(),
        |line| format!("line {line}"),
    )
}

impl Error {
    /// A corpus without text.
    pub(crate) fn empty_corpus(skipped: &Skipped) -> Self {
        let left_out = if skipped.is_empty() {
            String::new()
        } else {
            format!("; left out were {skipped}")
        };
        Self::EmptyCorpus { left_out }
    }

    /// An I/O error of a file of the cache that is being written or read back.
    pub(crate) fn storage(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            _ => Self::Storage { path, source },
        }
    }

    /// A file of the cache that does not fit.
    pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }

    /// A file of the cache that could not be opened or read.
    pub(crate) fn of_file(path: &Path, error: latentd_files::Error) -> Self {
        match error {
            error if error.is_absent() => Self::corrupt(path, "the file is missing"),
            latentd_files::Error::Io(source) => Self::storage(path, source),
            other => Self::corrupt(path, other.to_string()),
        }
    }

    /// A promise that the builder's caller broke.
    pub(crate) fn invalid_build(detail: impl Into<String>) -> Self {
        Self::InvalidBuild {
            detail: detail.into(),
        }
    }
}

impl HasReason for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::PathNotReadable { .. } => Reason::PathNotReadable,
            Self::MalformedCorpus { .. } | Self::DocumentTooLarge { .. } => Reason::MalformedCorpus,
            Self::Interrupted { .. } => Reason::Cancelled,
            Self::CorpusNotUtf8 { .. } => Reason::CorpusNotUtf8,
            Self::UploadTooLarge { .. } => Reason::BatchTooLarge,
            Self::EmptyCorpus { .. } => Reason::EmptyCorpus,
            Self::DiskFull { .. } => Reason::DiskFull,
            Self::Storage { .. } => Reason::StorageFailed,
            Self::Corrupt { .. } => Reason::CacheCorrupt,
            Self::UnknownSae { .. } => Reason::UnknownSae,
            Self::UnknownLatent { .. } => Reason::UnknownLatent,
            Self::UnknownWindow { .. } => Reason::InvalidRequest,
            Self::InvalidBuild { .. } => Reason::Internal,
        }
    }
}
