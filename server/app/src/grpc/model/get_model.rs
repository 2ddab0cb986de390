//! GetModel: one resident model.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetModelRequest,
) -> Result<pb::Model, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let entry = residency::model(&app, &violations.finish(id)?)?;
    Ok(convert::model(&entry))
}
