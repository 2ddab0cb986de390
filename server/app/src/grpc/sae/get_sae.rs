//! GetSae: one resident SAE, with the report of its self-test.

use std::sync::Arc;

use latentd_domain::SaeName;
use latentd_engine::SaeEntry;
use latentd_proto::v1 as pb;

use crate::{
    app::{App, Shared},
    grpc::{convert, error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetSaeRequest,
) -> Result<pb::Sae, Error> {
    let mut violations = Violations::default();
    let name = violations.parsed("name", &request.name);
    let entry = resident(&app, &violations.finish(name)?)?;
    Ok(convert::sae(&entry))
}

/// The SAE, if it is resident.
pub(crate) fn resident(app: &App, name: &SaeName) -> Result<Arc<SaeEntry>, Error> {
    let catalog = app.engine.catalog();
    let unknown = || latentd_engine::Error::UnknownSae { sae: name.clone() };
    Ok(catalog.saes.get(name).cloned().ok_or_else(unknown)?)
}
