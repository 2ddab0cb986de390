//! ExplainLatents: writes the job that explains latents, and scores what it finds.

use latentd_proto::v1 as pb;
use latentd_store::interp::EXPLAIN_LATENTS;

use super::{request, submit};
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ExplainLatentsRequest,
) -> Result<pb::Job, Error> {
    let key = submit::key(&request.request_id, &request);
    let parsed = request::explain(request, &app.config.limits)?;
    submit::submit(&app, EXPLAIN_LATENTS, key, parsed).await
}
