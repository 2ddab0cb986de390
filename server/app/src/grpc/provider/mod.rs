//! ProviderService: where language models that explain and score are reached.

mod create_provider;
mod delete_provider;
mod get_provider;
mod list_providers;
mod message;
mod probe_provider;
mod request;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

use super::unary;
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::provider_service_server::ProviderService for Service {
    async fn create_provider(
        &self,
        request: Request<pb::CreateProviderRequest>,
    ) -> Result<Response<pb::Provider>, Status> {
        unary(&self.0, request, create_provider::handle).await
    }

    async fn get_provider(
        &self,
        request: Request<pb::GetProviderRequest>,
    ) -> Result<Response<pb::Provider>, Status> {
        unary(&self.0, request, get_provider::handle).await
    }

    async fn list_providers(
        &self,
        request: Request<pb::ListProvidersRequest>,
    ) -> Result<Response<pb::ListProvidersResponse>, Status> {
        unary(&self.0, request, list_providers::handle).await
    }

    async fn probe_provider(
        &self,
        request: Request<pb::ProbeProviderRequest>,
    ) -> Result<Response<pb::Provider>, Status> {
        unary(&self.0, request, probe_provider::handle).await
    }

    async fn delete_provider(
        &self,
        request: Request<pb::DeleteProviderRequest>,
    ) -> Result<Response<pb::DeleteProviderResponse>, Status> {
        unary(&self.0, request, delete_provider::handle).await
    }
}
