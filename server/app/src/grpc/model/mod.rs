//! ModelService: language models on the device.

mod get_model;
mod list_models;
mod load_model;
mod tokenize;
mod unload_model;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

use super::unary;
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::model_service_server::ModelService for Service {
    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        unary(&self.0, request, list_models::handle).await
    }

    async fn get_model(
        &self,
        request: Request<pb::GetModelRequest>,
    ) -> Result<Response<pb::Model>, Status> {
        unary(&self.0, request, get_model::handle).await
    }

    async fn load_model(
        &self,
        request: Request<pb::LoadModelRequest>,
    ) -> Result<Response<pb::Model>, Status> {
        unary(&self.0, request, load_model::handle).await
    }

    async fn unload_model(
        &self,
        request: Request<pb::UnloadModelRequest>,
    ) -> Result<Response<pb::UnloadModelResponse>, Status> {
        unary(&self.0, request, unload_model::handle).await
    }

    async fn tokenize(
        &self,
        request: Request<pb::TokenizeRequest>,
    ) -> Result<Response<pb::TokenizeResponse>, Status> {
        unary(&self.0, request, tokenize::handle).await
    }
}
