//! DeleteProvider: forgets a provider that no job uses.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::DeleteProviderRequest,
) -> Result<pb::DeleteProviderResponse, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    app.store.providers().delete(&id).await?;
    app.providers.forget(&id);
    Ok(pb::DeleteProviderResponse {})
}
