//! GetModel: one resident model.

use std::sync::Arc;

use latentd_domain::ModelId;
use latentd_engine::ModelEntry;
use latentd_proto::v1 as pb;

use crate::{
    app::{App, Shared},
    grpc::{convert, error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetModelRequest,
) -> Result<pb::Model, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let entry = resident(&app, &violations.finish(id)?)?;
    Ok(convert::model(&entry))
}

/// The model, if it is resident.
pub(super) fn resident(app: &App, id: &ModelId) -> Result<Arc<ModelEntry>, Error> {
    let catalog = app.engine.catalog();
    let unknown = || latentd_engine::Error::UnknownModel { model: id.clone() };
    Ok(catalog.models.get(id).cloned().ok_or_else(unknown)?)
}
