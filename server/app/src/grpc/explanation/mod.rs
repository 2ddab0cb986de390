//! ExplanationService: what language models say that latents mean, and how good that is.

mod create_explanation;
mod delete_explanation;
mod explain_latents;
mod export;
mod export_explanations;
mod get_explanation;
mod get_job_summary;
mod get_score;
mod list_explanations;
mod meaning;
mod message;
mod name;
mod named;
pub(super) mod request;
mod score_explanations;
mod search_explanations;
mod submit;
mod windows;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

use super::{Streaming, streaming, unary};
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::explanation_service_server::ExplanationService for Service {
    type ExportExplanationsStream = Streaming<pb::ExportExplanationsResponse>;

    async fn explain_latents(
        &self,
        request: Request<pb::ExplainLatentsRequest>,
    ) -> Result<Response<pb::Job>, Status> {
        unary(&self.0, request, explain_latents::handle).await
    }

    async fn score_explanations(
        &self,
        request: Request<pb::ScoreExplanationsRequest>,
    ) -> Result<Response<pb::Job>, Status> {
        unary(&self.0, request, score_explanations::handle).await
    }

    async fn get_explanation(
        &self,
        request: Request<pb::GetExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        unary(&self.0, request, get_explanation::handle).await
    }

    async fn list_explanations(
        &self,
        request: Request<pb::ListExplanationsRequest>,
    ) -> Result<Response<pb::ListExplanationsResponse>, Status> {
        unary(&self.0, request, list_explanations::handle).await
    }

    async fn search_explanations(
        &self,
        request: Request<pb::SearchExplanationsRequest>,
    ) -> Result<Response<pb::SearchExplanationsResponse>, Status> {
        unary(&self.0, request, search_explanations::handle).await
    }

    async fn create_explanation(
        &self,
        request: Request<pb::CreateExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        unary(&self.0, request, create_explanation::handle).await
    }

    async fn delete_explanation(
        &self,
        request: Request<pb::DeleteExplanationRequest>,
    ) -> Result<Response<pb::DeleteExplanationResponse>, Status> {
        unary(&self.0, request, delete_explanation::handle).await
    }

    async fn get_score(
        &self,
        request: Request<pb::GetScoreRequest>,
    ) -> Result<Response<pb::Score>, Status> {
        unary(&self.0, request, get_score::handle).await
    }

    async fn export_explanations(
        &self,
        request: Request<pb::ExportExplanationsRequest>,
    ) -> Result<Response<Self::ExportExplanationsStream>, Status> {
        streaming(&self.0, request, export_explanations::handle).await
    }

    async fn get_job_summary(
        &self,
        request: Request<pb::GetJobSummaryRequest>,
    ) -> Result<Response<pb::JobSummary>, Status> {
        unary(&self.0, request, get_job_summary::handle).await
    }
}
