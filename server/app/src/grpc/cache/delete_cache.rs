//! DeleteCache: hides a cache, deletes its files, then frees its id. A crash in between is made good at the next start.

use std::{io::ErrorKind, path::Path};

use latentd_domain::{CacheId, Reason};
use latentd_proto::v1 as pb;

use crate::{
    app::{App, Shared},
    grpc::{blocking, error::Error, layers::Context, parse::Violations},
    jobs,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::DeleteCacheRequest,
) -> Result<pb::DeleteCacheResponse, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    app.store.caches().start_delete(&id).await?;
    let freed_bytes = remove_files(&app, &id).await?;
    Ok(pb::DeleteCacheResponse { freed_bytes })
}

/// Deletes the files of a cache that is hidden already, and frees its id. Returns the bytes that the files took.
pub(crate) async fn remove_files(app: &App, id: &CacheId) -> Result<u64, Error> {
    app.caches.forget(id);
    let dir = app.caches.dir(id);
    let bytes = blocking(move || {
        jobs::forget_origin(&dir);
        remove(&dir)
    })
    .await?;
    app.store.caches().finish_delete(id).await?;
    Ok(bytes)
}

fn remove(dir: &Path) -> Result<u64, Error> {
    let storage = |error: std::io::Error| Error::new(Reason::StorageFailed, error.to_string());
    match size(dir) {
        Ok(bytes) => fs_err::remove_dir_all(dir).map(|()| bytes).map_err(storage),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(storage(error)),
    }
}

fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("c");
        fs_err::create_dir_all(cache.join("saes/x")).unwrap();
        fs_err::write(cache.join("a"), [0; 10]).unwrap();
        fs_err::write(cache.join("saes/x/b"), [0; 5]).unwrap();
        assert_eq!(remove(&cache).unwrap(), 15);
        assert!(!cache.exists());
        assert_eq!(remove(&cache).unwrap(), 0);
    }
}
