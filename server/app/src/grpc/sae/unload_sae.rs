//! UnloadSae: removes an SAE from the device, and forgets it.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::UnloadSaeRequest,
) -> Result<pb::UnloadSaeResponse, Error> {
    let mut violations = Violations::default();
    let name = violations.parsed("name", &request.name);
    let name = violations.finish(name)?;
    let freed_bytes = residency::unload_sae(&app, &name).await?;
    Ok(pb::UnloadSaeResponse { freed_bytes })
}
