//! ListProviders: all providers, by name.

use latentd_proto::v1 as pb;

use super::message;
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, page::store_page},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListProvidersRequest,
) -> Result<pb::ListProvidersResponse, Error> {
    let page = store_page(
        request.page_size,
        request.page_token,
        app.config.limits.max_page_size,
    )?;
    let listed = app.store.providers().list(&page).await?;
    Ok(pb::ListProvidersResponse {
        providers: listed.items.into_iter().map(message::provider).collect(),
        next_page_token: listed.next_page_token,
    })
}
