//! GetCache: one cache, whatever its state.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetCacheRequest,
) -> Result<pb::Cache, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let cache = app.store.caches().get(&violations.finish(id)?).await?;
    Ok(convert::cache(cache))
}
