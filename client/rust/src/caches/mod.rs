//! CacheService, but for its examples: building, listing and deleting caches, and statistics of latents.

mod build;
mod stats;
mod upload;
mod windows;

use std::time::SystemTime;

use latentd_proto::v1 as proto;
use serde::Serialize;

pub use build::{ActivationDtype, BuildCacheRequest, Corpus, CorpusFormat};
pub use stats::{LatentStats, LatentStatsRequest};
pub use upload::UploadedCorpus;
pub use windows::{Window, WindowsRequest};

use crate::{Client, Pages, Result, client::stub, retry::Repeat, time::system_time};

/// State of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// A state that this client does not know.
    Unknown,
    /// Its job has not ended.
    Building,
    /// Complete and readable.
    Ready,
    /// Its job failed or was cancelled.
    Failed,
}

/// Stored activations of a corpus.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cache {
    /// Resource name: `caches/{cache}`.
    pub name: String,
    /// Where it stands.
    pub state: CacheState,
    /// Resource name of the model.
    pub model: String,
    /// The SAEs whose activations it holds.
    pub saes: Vec<CachedSae>,
    /// Tokens of the corpus in it, special ones included.
    pub tokens: u64,
    /// Rows: pieces of documents of at most `context_length` tokens.
    pub rows: u64,
    /// Documents.
    pub documents: u64,
    /// Longest row, in tokens.
    pub context_length: u32,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// BLAKE3 digest of the manifest: equal digests mean equal bytes.
    pub manifest_digest: String,
    /// The job that builds it.
    pub job: String,
    /// When it was asked for.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub created: Option<SystemTime>,
    /// Seed that the corpus was ordered by.
    pub seed: u64,
    /// BLAKE3 digest of the model's weights.
    pub model_digest: String,
    /// It is the one that is taken where a request names one of its SAEs and no cache.
    pub pinned: bool,
    /// Id of the data folder that has its files; empty if it is not known.
    pub data_folder: String,
}

/// One SAE of a cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CachedSae {
    /// Resource name of the SAE.
    pub sae: String,
    /// Canonical hook point.
    pub hook_point: String,
    /// Number of latents.
    pub d_sae: u32,
    /// BLAKE3 digest of the SAE's weights.
    pub digest: String,
    /// Stored activations.
    pub activations: u64,
    /// Latents that fired at least once.
    pub firing_latents: u32,
    /// Activations above the range of f16, stored as its largest number.
    pub above_range: u64,
    /// Activations below the range of f16, stored as its smallest number.
    pub below_range: u64,
}

impl Client {
    /// Caches, by name.
    pub fn caches(&self) -> Pages<Cache> {
        let client = self.clone();
        Pages::new(move |page_token| {
            let client = client.clone();
            async move {
                let request = proto::ListCachesRequest {
                    page_size: 0,
                    page_token,
                };
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, cache_service_client::CacheServiceClient)
                            .list_caches(request)
                            .await
                    })
                    .await?;
                Ok((
                    page.caches.into_iter().map(Cache::from).collect(),
                    page.next_page_token,
                ))
            }
        })
    }

    /// One cache.
    pub async fn cache(&self, name: &str) -> Result<Cache> {
        self.get_cache(proto::GetCacheRequest {
            name: name.to_owned(),
            sae: String::new(),
        })
        .await
    }

    /// The cache that is taken where a request names this SAE and no cache: the only one that holds it, or the pinned one. Several
    /// without such a choice are refused with `AMBIGUOUS_CACHE`.
    pub async fn cache_of(&self, sae: &str) -> Result<Cache> {
        self.get_cache(proto::GetCacheRequest {
            name: String::new(),
            sae: sae.to_owned(),
        })
        .await
    }

    async fn get_cache(&self, request: proto::GetCacheRequest) -> Result<Cache> {
        let cache = self.call(Repeat::Always, request, |request| async {
            stub!(self, cache_service_client::CacheServiceClient)
                .get_cache(request)
                .await
        });
        Ok(cache.await?.into())
    }

    /// Chooses a cache as the one that is taken where a request names an SAE and no cache, or takes the choice back.
    pub async fn pin_cache(&self, name: &str, pinned: bool) -> Result<Cache> {
        let request = proto::PinCacheRequest {
            name: name.to_owned(),
            unpin: !pinned,
        };
        let cache = self.call(Repeat::Always, request, |request| async {
            stub!(self, cache_service_client::CacheServiceClient)
                .pin_cache(request)
                .await
        });
        Ok(cache.await?.into())
    }

    /// Deletes a cache and its files, and returns the bytes given back.
    pub async fn delete_cache(&self, name: &str) -> Result<u64> {
        let request = proto::DeleteCacheRequest {
            name: name.to_owned(),
        };
        let reply = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, cache_service_client::CacheServiceClient)
                .delete_cache(request)
                .await
        });
        Ok(reply.await?.freed_bytes)
    }
}

impl From<proto::CacheState> for CacheState {
    fn from(state: proto::CacheState) -> Self {
        match state {
            proto::CacheState::Unspecified => Self::Unknown,
            proto::CacheState::Building => Self::Building,
            proto::CacheState::Ready => Self::Ready,
            proto::CacheState::Failed => Self::Failed,
        }
    }
}

impl From<proto::Cache> for Cache {
    fn from(cache: proto::Cache) -> Self {
        Self {
            state: cache.state().into(),
            name: cache.name,
            model: cache.model,
            saes: cache.saes.into_iter().map(CachedSae::from).collect(),
            tokens: cache.tokens,
            rows: cache.rows,
            documents: cache.documents,
            context_length: cache.context_length,
            size_bytes: cache.size_bytes,
            manifest_digest: cache.manifest_digest,
            job: cache.job,
            created: system_time(cache.create_time),
            seed: cache.seed,
            model_digest: cache.model_digest,
            pinned: cache.pinned,
            data_folder: cache.data_folder,
        }
    }
}

impl From<proto::CachedSae> for CachedSae {
    fn from(cached: proto::CachedSae) -> Self {
        let proto::CachedSae {
            sae,
            hook_point,
            d_sae,
            digest,
            activations,
            firing_latents,
            above_range,
            below_range,
        } = cached;
        Self {
            sae,
            hook_point,
            d_sae,
            digest,
            activations,
            firing_latents,
            above_range,
            below_range,
        }
    }
}
