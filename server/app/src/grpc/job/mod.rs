//! JobService: long work.

mod cancel_job;
mod get_job;
mod list_jobs;
mod pause_job;
mod resume_job;
mod watch_job;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

use super::{Streaming, streaming, unary};
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::job_service_server::JobService for Service {
    type WatchJobStream = Streaming<pb::JobEvent>;

    async fn get_job(
        &self,
        request: Request<pb::GetJobRequest>,
    ) -> Result<Response<pb::Job>, Status> {
        unary(&self.0, request, get_job::handle).await
    }

    async fn list_jobs(
        &self,
        request: Request<pb::ListJobsRequest>,
    ) -> Result<Response<pb::ListJobsResponse>, Status> {
        unary(&self.0, request, list_jobs::handle).await
    }

    async fn cancel_job(
        &self,
        request: Request<pb::CancelJobRequest>,
    ) -> Result<Response<pb::Job>, Status> {
        unary(&self.0, request, cancel_job::handle).await
    }

    async fn pause_job(
        &self,
        request: Request<pb::PauseJobRequest>,
    ) -> Result<Response<pb::Job>, Status> {
        unary(&self.0, request, pause_job::handle).await
    }

    async fn resume_job(
        &self,
        request: Request<pb::ResumeJobRequest>,
    ) -> Result<Response<pb::Job>, Status> {
        unary(&self.0, request, resume_job::handle).await
    }

    async fn watch_job(
        &self,
        request: Request<pb::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        streaming(&self.0, request, watch_job::handle).await
    }
}
