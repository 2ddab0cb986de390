//! CancelJob: asks a job to stop.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::CancelJobRequest,
) -> Result<pb::Job, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let job = app
        .store
        .jobs()
        .request_cancel(&violations.finish(id)?)
        .await?;
    Ok(convert::job(job))
}
