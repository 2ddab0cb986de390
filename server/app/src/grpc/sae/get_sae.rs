//! GetSae: one resident SAE, with the report of its self-test.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetSaeRequest,
) -> Result<pb::Sae, Error> {
    let mut violations = Violations::default();
    let name = violations.parsed("name", &request.name);
    let entry = residency::sae(&app, &violations.finish(name)?)?;
    Ok(convert::sae(&entry))
}
