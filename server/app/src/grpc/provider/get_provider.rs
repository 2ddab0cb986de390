//! GetProvider: one provider.

use latentd_proto::v1 as pb;

use super::message;
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetProviderRequest,
) -> Result<pb::Provider, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let provider = app.store.providers().get(&violations.finish(id)?).await?;
    Ok(message::provider(provider))
}
