//! GetCache: one cache, whatever its state; or the one that is taken where a request names an SAE alone.

use latentd_proto::v1 as pb;

use super::source::taken;
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
    if request.name.is_empty() && !request.sae.is_empty() {
        let sae = violations.parsed("sae", &request.sae);
        let cache = taken(&app, &violations.finish(sae)?).await?;
        return Ok(convert::cache(cache));
    }
    let id = violations.parsed("name", &request.name);
    let cache = app.store.caches().get(&violations.finish(id)?).await?;
    Ok(convert::cache(cache))
}
