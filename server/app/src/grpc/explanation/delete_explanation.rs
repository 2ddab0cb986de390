//! DeleteExplanation: deletes an explanation with its scores.

use latentd_proto::v1 as pb;

use super::name::ExplanationName;
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::DeleteExplanationRequest,
) -> Result<pb::DeleteExplanationResponse, Error> {
    let mut violations = Violations::default();
    let name: Option<ExplanationName> = violations.parsed("name", &request.name);
    let id = violations.finish(name)?.into_id();
    app.store.explanations().delete(&id).await?;
    Ok(pb::DeleteExplanationResponse {})
}
