//! ActivationService: activations of prompts, now.

mod decode;
mod encode;
mod encode_request;
mod encode_stream;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

use super::{Streaming, streaming, unary};
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::activation_service_server::ActivationService for Service {
    type EncodeStreamStream = Streaming<pb::EncodeStreamResponse>;

    async fn encode(
        &self,
        request: Request<pb::EncodeRequest>,
    ) -> Result<Response<pb::EncodeResponse>, Status> {
        unary(&self.0, request, encode::handle).await
    }

    async fn encode_stream(
        &self,
        request: Request<tonic::Streaming<pb::EncodeStreamRequest>>,
    ) -> Result<Response<Self::EncodeStreamStream>, Status> {
        streaming(&self.0, request, encode_stream::handle).await
    }

    async fn decode(
        &self,
        request: Request<pb::DecodeRequest>,
    ) -> Result<Response<pb::DecodeResponse>, Status> {
        unary(&self.0, request, decode::handle).await
    }
}
