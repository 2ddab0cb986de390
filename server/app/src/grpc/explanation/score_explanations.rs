//! ScoreExplanations: writes the job that scores explanations that exist.

use latentd_proto::v1 as pb;
use latentd_store::interp::SCORE_EXPLANATIONS;

use super::{request, submit};
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ScoreExplanationsRequest,
) -> Result<pb::Job, Error> {
    let key = submit::key(&request.request_id, &request);
    let parsed = request::score(request, &app.config.limits)?;
    submit::submit(&app, SCORE_EXPLANATIONS, key, parsed).await
}
