//! GetExplanation: one explanation, with its scores.

use latentd_proto::v1 as pb;

use super::{message, name::ExplanationName};
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetExplanationRequest,
) -> Result<pb::Explanation, Error> {
    let mut violations = Violations::default();
    let name: Option<ExplanationName> = violations.parsed("name", &request.name);
    let id = violations.finish(name)?.into_id();
    let explanation = app.store.explanations().get(&id).await?;
    Ok(message::explanation(explanation))
}
