//! GetJobSummary: what a job has found so far, computed from what it stored.

use latentd_domain::{JobId, Reason};
use latentd_proto::v1 as pb;
use latentd_store::interp::KINDS;

use super::message;
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetJobSummaryRequest,
) -> Result<pb::JobSummary, Error> {
    let mut violations = Violations::default();
    let id: Option<JobId> = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    let job = app.store.jobs().get(&id).await?;
    if !KINDS.contains(&job.kind.as_str()) {
        let message = format!(
            "{id} is of kind {}; only {} have a summary",
            job.kind,
            KINDS.join(" and ")
        );
        return Err(Error::new(Reason::InvalidRequest, message));
    }
    let summary = app.store.interp().summary(&id).await?;
    Ok(message::summary(&id, summary))
}
