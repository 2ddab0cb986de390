//! DeleteCache: hides a cache, deletes its files, then frees its id. A crash in between is made good at the next start.

use latentd_domain::Reason;
use latentd_proto::v1 as pb;
use latentd_store::caches::Hidden;

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
    let cache = app.store.caches().start_delete(&id).await?;
    let freed_bytes = remove_files(&app, &cache).await?;
    Ok(pb::DeleteCacheResponse { freed_bytes })
}

/// Deletes the files of a cache that is hidden already, and frees its id. Returns the bytes that the files took. Another cache of
/// the same id, built since, keeps its files.
pub(crate) async fn remove_files(app: &App, cache: &Hidden) -> Result<u64, Error> {
    app.caches.forget(&cache.id);
    let root = app.caches.root(&cache.id);
    let (job, in_root) = (cache.job.clone(), cache.place.is_empty());
    let bytes = blocking(move || {
        jobs::forget_origin(&root, &job);
        let storage = |error: std::io::Error| Error::new(Reason::StorageFailed, error.to_string());
        jobs::remove_files(&root, &job, in_root).map_err(storage)
    })
    .await?;
    let caches = app.store.caches();
    caches.finish_delete(&cache.id, &cache.job).await?;
    Ok(bytes)
}
