//! What a build began with, kept beside the cache while it is built: a build that goes on after a restart must not mix the
//! files of one model or SAE with those of another, nor take over what an unrelated build left in the folder.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

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
    /// Small corpora are cut into more shards. False for builds that an earlier version began.
    #[serde(default)]
    finer_shards: bool,
}

/// How a build goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Small corpora are cut into more shards.
    pub(super) finer_shards: bool,
    /// Its first files lie in the folder of the cache itself, where an earlier version put them.
    pub(super) in_root: bool,
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
            finer_shards: true,
        }
    }

    /// Notes what the build begins with, or compares it with what an earlier attempt noted. `dir` is the folder of the cache, and
    /// `done` counts the pieces that are recorded as done. Blocks.
    pub(super) fn settle(&self, dir: &Path, done: usize) -> Result<Settled, Error> {
        let own = read(&path(dir, &self.job))?;
        let in_root = own.is_none();
        let earlier = match own {
            Some(own) => Some(own),
            None => read(&older_path(dir))?.filter(|older| older.job == self.job),
        };
        match earlier {
            Some(earlier) => {
                self.check(&earlier)?;
                Ok(Settled {
                    finer_shards: earlier.finer_shards,
                    in_root,
                })
            }
            None if done > 0 => {
                let message = format!("the files of the build are gone from {}", dir.display());
                Err(Error::new(Reason::CacheCorrupt, message))
            }
            None => {
                self.begin(dir).map_err(|error| storage(&error))?;
                Ok(Settled {
                    finer_shards: self.finer_shards,
                    in_root: false,
                })
            }
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
        latentd_files::create_folder(dir)?;
        latentd_files::write(&path(dir, &self.job), &serde_json::to_vec(self)?)
    }
}

/// Forgets what the build `job` of the cache in `dir` began with: it has ended, or its cache is deleted.
pub(crate) fn forget(dir: &Path, job: &JobId) {
    let _ = fs_err::remove_file(path(dir, job));
    if let Ok(Some(older)) = read(&older_path(dir))
        && older.job == *job
    {
        let _ = fs_err::remove_file(older_path(dir));
    }
}

fn read(path: &Path) -> Result<Option<Origin>, Error> {
    match latentd_files::read_if_present(path, MAX_BYTES) {
        Ok(found) => Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok())),
        Err(error) => Err(storage(&error.into())),
    }
}

/// Beside the cache's folder, under a name that no cache can have and no other build.
fn path(dir: &Path, job: &JobId) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".build-{name}.{}.json", job.id()))
}

/// Where an earlier version put it, for all builds of a name.
fn older_path(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".build-{name}.json"))
}

pub(super) fn storage(error: &std::io::Error) -> Error {
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
            finer_shards: true,
        }
    }

    #[test]
    fn builds_of_one_name_do_not_touch_each_other() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("c");
        let build = origin("j1", "m", "s");
        let settled = Settled {
            finer_shards: true,
            in_root: false,
        };
        assert_eq!(build.settle(&dir, 0).unwrap(), settled);
        assert_eq!(origin("j2", "other", "s").settle(&dir, 0).unwrap(), settled);
        forget(&dir, &"j2".parse().unwrap());
        assert_eq!(build.settle(&dir, 3).unwrap(), settled);
    }

    #[test]
    fn a_build_that_an_earlier_version_began_goes_on_as_it_did() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("c");
        let older = serde_json::json!({
            "job": "jobs/j", "model_digest": "m", "tokenizer_digest": "t", "sae_digests": { "models/m/saes/a": "s" },
        });
        fs_err::write(root.path().join(".build-c.json"), older.to_string()).unwrap();
        let settled = origin("j", "m", "s").settle(&dir, 1).unwrap();
        assert!(settled.in_root && !settled.finer_shards);
        forget(&dir, &"j".parse().unwrap());
        assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 0);
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
        let job = "j".parse().unwrap();
        forget(&dir, &job);
        assert!(read(&path(&dir, &job)).unwrap().is_none());
    }
}
