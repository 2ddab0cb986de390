//! UnloadModel: removes a model from the device, and forgets it.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::UnloadModelRequest,
) -> Result<pb::UnloadModelResponse, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    let freed_bytes = residency::unload_model(&app, &id, request.force).await?;
    Ok(pb::UnloadModelResponse { freed_bytes })
}
