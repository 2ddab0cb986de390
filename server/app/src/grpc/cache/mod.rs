//! CacheService: activations of a corpus, stored, and the examples in them.

mod build_cache;
mod delete_cache;
mod delete_corpus;
mod examples_request;
mod get_cache;
mod get_windows;
mod list_caches;
mod list_corpora;
mod list_latent_stats;
mod pin_cache;
mod source;
mod stream_examples;
mod upload_corpus;

use std::sync::Arc;

use latentd_proto::v1 as pb;
use tonic::{Request, Response, Status, async_trait};

pub(crate) use self::delete_cache::remove_files;
pub(super) use self::source::{Named, Source};
use super::{Streaming, streaming, unary};
use crate::app::Shared;

pub(super) struct Service(pub(super) Shared);

#[async_trait]
impl pb::cache_service_server::CacheService for Service {
    type StreamExamplesStream = Streaming<pb::StreamExamplesResponse>;

    async fn upload_corpus(
        &self,
        request: Request<tonic::Streaming<pb::UploadCorpusRequest>>,
    ) -> Result<Response<pb::UploadedCorpus>, Status> {
        let stored = upload_corpus::handle(Arc::clone(&self.0), request.into_inner()).await?;
        Ok(Response::new(stored))
    }

    async fn list_corpora(
        &self,
        request: Request<pb::ListCorporaRequest>,
    ) -> Result<Response<pb::ListCorporaResponse>, Status> {
        unary(&self.0, request, list_corpora::handle).await
    }

    async fn delete_corpus(
        &self,
        request: Request<pb::DeleteCorpusRequest>,
    ) -> Result<Response<pb::DeleteCorpusResponse>, Status> {
        unary(&self.0, request, delete_corpus::handle).await
    }

    async fn build_cache(
        &self,
        request: Request<pb::BuildCacheRequest>,
    ) -> Result<Response<pb::Job>, Status> {
        unary(&self.0, request, build_cache::handle).await
    }

    async fn list_caches(
        &self,
        request: Request<pb::ListCachesRequest>,
    ) -> Result<Response<pb::ListCachesResponse>, Status> {
        unary(&self.0, request, list_caches::handle).await
    }

    async fn get_cache(
        &self,
        request: Request<pb::GetCacheRequest>,
    ) -> Result<Response<pb::Cache>, Status> {
        unary(&self.0, request, get_cache::handle).await
    }

    async fn pin_cache(
        &self,
        request: Request<pb::PinCacheRequest>,
    ) -> Result<Response<pb::Cache>, Status> {
        unary(&self.0, request, pin_cache::handle).await
    }

    async fn delete_cache(
        &self,
        request: Request<pb::DeleteCacheRequest>,
    ) -> Result<Response<pb::DeleteCacheResponse>, Status> {
        unary(&self.0, request, delete_cache::handle).await
    }

    async fn stream_examples(
        &self,
        request: Request<pb::StreamExamplesRequest>,
    ) -> Result<Response<Self::StreamExamplesStream>, Status> {
        streaming(&self.0, request, stream_examples::handle).await
    }

    async fn get_windows(
        &self,
        request: Request<pb::GetWindowsRequest>,
    ) -> Result<Response<pb::GetWindowsResponse>, Status> {
        unary(&self.0, request, get_windows::handle).await
    }

    async fn list_latent_stats(
        &self,
        request: Request<pb::ListLatentStatsRequest>,
    ) -> Result<Response<pb::ListLatentStatsResponse>, Status> {
        unary(&self.0, request, list_latent_stats::handle).await
    }
}
