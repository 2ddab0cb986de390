//! ProbeProvider: asks a provider again what it can do, and stores the answer.

use latentd_proto::v1 as pb;

use super::message;
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
    providers::registered,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ProbeProviderRequest,
) -> Result<pb::Provider, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    let row = app.store.providers().get(&id).await?;
    let capabilities = app.providers.probe(&registered(&row)).await?;
    let row = app
        .store
        .providers()
        .set_capabilities(&id, capabilities)
        .await?;
    app.providers.forget(&id);
    Ok(message::provider(row))
}
