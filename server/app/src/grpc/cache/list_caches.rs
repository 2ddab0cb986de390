//! ListCaches: every cache, by name, whatever its state.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, page::store_page},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListCachesRequest,
) -> Result<pb::ListCachesResponse, Error> {
    let page = store_page(
        request.page_size,
        request.page_token,
        app.config.limits.max_page_size,
    )?;
    let listed = app.store.caches().list(&page).await?;
    Ok(pb::ListCachesResponse {
        caches: listed.items.into_iter().map(convert::cache).collect(),
        next_page_token: listed.next_page_token,
    })
}
