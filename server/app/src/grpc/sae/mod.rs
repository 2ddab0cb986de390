//! SaeService: sparse autoencoders on the device.

mod get_latent;
mod get_sae;
mod list_saes;
mod load_sae;
mod unload_sae;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

use super::unary;
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::sae_service_server::SaeService for Service {
    async fn list_saes(
        &self,
        request: Request<pb::ListSaesRequest>,
    ) -> Result<Response<pb::ListSaesResponse>, Status> {
        unary(&self.0, request, list_saes::handle).await
    }

    async fn get_sae(
        &self,
        request: Request<pb::GetSaeRequest>,
    ) -> Result<Response<pb::Sae>, Status> {
        unary(&self.0, request, get_sae::handle).await
    }

    async fn load_sae(
        &self,
        request: Request<pb::LoadSaeRequest>,
    ) -> Result<Response<pb::Sae>, Status> {
        unary(&self.0, request, load_sae::handle).await
    }

    async fn unload_sae(
        &self,
        request: Request<pb::UnloadSaeRequest>,
    ) -> Result<Response<pb::UnloadSaeResponse>, Status> {
        unary(&self.0, request, unload_sae::handle).await
    }

    async fn get_latent(
        &self,
        request: Request<pb::GetLatentRequest>,
    ) -> Result<Response<pb::Latent>, Status> {
        unary(&self.0, request, get_latent::handle).await
    }
}
