//! Where the files of a cache lie. Paths are made from names here and never read from a manifest, so that a manifest
//! cannot point outside its cache.

use std::path::{Path, PathBuf};

use latentd_domain::SaeName;

/// The rows of tokens of the cache in `dir`.
pub fn tokens_path(dir: &Path) -> PathBuf {
    dir.join("tokens.safetensors")
}

/// The manifest of the cache in `dir`.
pub fn manifest_path(dir: &Path) -> PathBuf {
    dir.join("manifest.json")
}

/// The folder of all SAEs of the cache in `dir`.
pub fn saes_dir(dir: &Path) -> PathBuf {
    dir.join("saes")
}

/// The folder of one SAE. SAEs of one cache share their model, so the dot leaves no two with the same folder.
pub fn sae_dir(dir: &Path, sae: &SaeName) -> PathBuf {
    saes_dir(dir).join(format!("{}.{}", sae.model().id(), sae.id()))
}

/// Shard number `shard` of one SAE.
pub fn shard_path(dir: &Path, sae: &SaeName, shard: usize) -> PathBuf {
    sae_dir(dir, sae).join(format!("shard-{shard:05}.safetensors"))
}

/// The statistics of one SAE.
pub fn stats_path(dir: &Path, sae: &SaeName) -> PathBuf {
    sae_dir(dir, sae).join("stats.safetensors")
}

/// Latents that fire on the same tokens, for block number `block` of the latents of one SAE; `dir` is the SAE's own folder.
/// Computed when it is first asked for; not part of the manifest.
pub(crate) fn neighbours_path(dir: &Path, block: usize) -> PathBuf {
    dir.join(format!("neighbours-{block:05}.safetensors"))
}
