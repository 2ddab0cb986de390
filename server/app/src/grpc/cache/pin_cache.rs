//! PinCache: the cache that is taken where a request names an SAE and no cache.

use latentd_domain::CacheId;
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::PinCacheRequest,
) -> Result<pb::Cache, Error> {
    let mut violations = Violations::default();
    let id: Option<CacheId> = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    let cache = app.store.caches().pin(&id, !request.unpin).await?;
    Ok(convert::cache(cache))
}
