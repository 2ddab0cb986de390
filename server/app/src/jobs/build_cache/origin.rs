//! What a build began with, kept beside the cache while it is built: a build that goes on after a restart must not mix the
//! files of one model or SAE with those of another, nor take over what an unrelated build left in the folder.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use latentd_cache::{manifest_path, sae_dir, tokens_path};
use latentd_domain::{JobId, Reason, SaeName};
use serde::{Deserialize, Serialize};

use crate::{grpc::error::Error, residency::Residents};

/// Longest file of an origin; its SAEs are some hundred bytes each.
const MAX_BYTES: u64 = 16 << 20;

/// What a build began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    job: JobId,
    model_digest: String,
    tokenizer_digest: String,
    sae_digests: BTreeMap<SaeName, String>,
}

impl Origin {
    /// Of the build that `job` does with what is resident now.
    pub(super) fn new(job: JobId, residents: &Residents) -> Self {
        let digest = |sae: &std::sync::Arc<latentd_engine::SaeEntry>| {
            (sae.name.clone(), sae.info.digest.clone())
        };
        Self {
            job,
            model_digest: residents.model.info.digest.clone(),
            tokenizer_digest: residents.model.info.tokenizer_digest.clone(),
            sae_digests: residents.saes.iter().map(digest).collect(),
        }
    }

    /// Makes the folder `dir` ready for the build: as an earlier attempt left it, or empty. `done` counts the pieces that are
    /// recorded as done. Blocks.
    pub(super) fn settle(&self, dir: &Path, done: usize) -> Result<(), Error> {
        match read(dir)? {
            Some(earlier) if earlier.job == self.job => self.check(&earlier),
            _ if done > 0 => {
                let message = format!("the files of the build are gone from {}", dir.display());
                Err(Error::new(Reason::CacheCorrupt, message))
            }
            _ => self.begin(dir).map_err(|error| storage(&error)),
        }
    }

    fn check(&self, earlier: &Self) -> Result<(), Error> {
        if (&self.model_digest, &self.tokenizer_digest)
            != (&earlier.model_digest, &earlier.tokenizer_digest)
        {
            let message = "the model is no longer the one that the build began with";
            return Err(Error::new(Reason::UnknownModel, message));
        }
        for (sae, digest) in &self.sae_digests {
            if earlier.sae_digests.get(sae) != Some(digest) {
                let message = format!("{sae:#} is no longer the one that the build began with");
                return Err(Error::new(Reason::UnknownSae, message));
            }
        }
        Ok(())
    }

    fn begin(&self, dir: &Path) -> std::io::Result<()> {
        // What this build would take for its own: everything else is overwritten or swept.
        absent(fs_err::remove_file(tokens_path(dir)))?;
        absent(fs_err::remove_file(manifest_path(dir)))?;
        for sae in self.sae_digests.keys() {
            absent(fs_err::remove_dir_all(sae_dir(dir, sae)))?;
        }
        latentd_files::create_folder(dir)?;
        latentd_files::write(&path(dir), &serde_json::to_vec(self)?)
    }
}

/// The outcome of a removal; what was not there is removed too.
fn absent(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Forgets what the build in `dir` began with: it has ended, or its cache is deleted.
pub(crate) fn forget(dir: &Path) {
    // What stays is replaced by the next build in this folder.
    let _ = fs_err::remove_file(path(dir));
}

fn read(dir: &Path) -> Result<Option<Origin>, Error> {
    match latentd_files::read_if_present(&path(dir), MAX_BYTES) {
        Ok(found) => Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok())),
        Err(error) => Err(storage(&error.into())),
    }
}

/// Beside the cache's folder, under a name that no cache can have: the folder itself holds the cache and nothing else.
fn path(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".build-{name}.json"))
}

fn storage(error: &std::io::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::DiskFull,
        _ => Reason::StorageFailed,
    };
    Error::new(reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(job: &str, model: &str, sae: &str) -> Origin {
        Origin {
            job: job.parse().unwrap(),
            model_digest: model.to_owned(),
            tokenizer_digest: "t".to_owned(),
            sae_digests: BTreeMap::from([("m/a".parse().unwrap(), sae.to_owned())]),
        }
    }

    #[test]
    fn another_builds_files_are_removed_and_its_own_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("c");
        fs_err::create_dir_all(&dir).unwrap();
        fs_err::write(dir.join("tokens.safetensors"), b"old").unwrap();
        let build = origin("j1", "m", "s");
        build.settle(&dir, 0).unwrap();
        assert_eq!(fs_err::read_dir(&dir).unwrap().count(), 0);
        fs_err::write(dir.join("tokens.safetensors"), b"new").unwrap();
        build.settle(&dir, 3).unwrap();
        assert_eq!(fs_err::read_dir(&dir).unwrap().count(), 1);
        origin("j2", "m", "s").settle(&dir, 0).unwrap();
        assert_eq!(fs_err::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn other_weights_are_not_mixed_in() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("c");
        origin("j", "m", "s").settle(&dir, 0).unwrap();
        let reason = |other: Origin| other.settle(&dir, 1).unwrap_err().reason();
        assert_eq!(reason(origin("j", "other", "s")), Reason::UnknownModel);
        assert_eq!(reason(origin("j", "m", "other")), Reason::UnknownSae);
    }

    #[test]
    fn lost_files_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("c");
        let error = origin("j", "m", "s").settle(&dir, 1).unwrap_err();
        assert_eq!(error.reason(), Reason::CacheCorrupt);
        origin("j", "m", "s").settle(&dir, 0).unwrap();
        forget(&dir);
        assert!(read(&dir).unwrap().is_none());
    }
}
