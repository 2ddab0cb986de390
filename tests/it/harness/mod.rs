//! What tests stand on: servers in this process and in others, small models and SAEs, corpora.

pub(crate) mod command;
pub(crate) mod corpus;
pub(crate) mod endpoint;
pub(crate) mod impostor;
pub(crate) mod llama_cpp;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod real;
pub(crate) mod sae;
pub(crate) mod server;
pub(crate) mod wait;

use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
        .to_owned()
}

/// A file or folder of `tests/golden`.
pub(crate) fn golden(path: &str) -> PathBuf {
    root().join("tests/golden").join(path)
}
