//! CreateProvider: registers a provider, or replaces the one of that id, once it was reached and said what it can do. One that
//! cannot be reached is not registered, unless the request says not to try.

use latentd_proto::v1 as pb;

use super::{
    message,
    request::{Parsed, parse},
};
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::CreateProviderRequest,
) -> Result<pb::Provider, Error> {
    let Parsed {
        mut provider,
        skip_probe,
    } = parse(request, &app.config.keys)?;
    if !skip_probe {
        provider.capabilities = Some(app.providers.probe(&provider).await?);
    }
    let stored = app.store.providers().put(&provider).await?;
    app.providers.forget(&provider.id);
    Ok(message::provider(stored))
}
