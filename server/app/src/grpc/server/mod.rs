//! ServerService: what this server is.

mod get_server_info;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

use super::unary;
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::server_service_server::ServerService for Service {
    async fn get_server_info(
        &self,
        request: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::ServerInfo>, Status> {
        unary(&self.0, request, get_server_info::handle).await
    }
}
