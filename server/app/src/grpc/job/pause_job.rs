//! PauseJob: asks a job to wait. A job that is paused already stays as it is.

use latentd_proto::v1 as pb;
use latentd_store::pauses::PauseReason;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::PauseJobRequest,
) -> Result<pb::Job, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    let job = app
        .store
        .jobs()
        .request_pause(&id, PauseReason::Requested)
        .await?;
    Ok(convert::job(job))
}
