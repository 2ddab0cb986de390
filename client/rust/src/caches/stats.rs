//! ListLatentStats: how often and how strongly latents fire over a cache.

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Pages, client::stub, retry::Repeat};

/// Statistics of one latent over a cache, of tokens that were encoded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatentStats {
    /// Index of the latent.
    pub latent: u32,
    /// Tokens on which it fires.
    pub count: u64,
    /// `count` over the number of tokens that were encoded.
    pub density: f64,
    /// Highest activation; `None` if it never fires.
    pub max: Option<f32>,
    /// Mean activation where it fires; `None` if it never does.
    pub mean: Option<f64>,
    /// Mean squared activation where it fires; `None` if it never does.
    pub mean_square: Option<f64>,
    /// Bucket i counts activations in `[2^(i/2 − 16), 2^((i+1)/2 − 16))`; the ends hold what lies beyond.
    pub histogram: Vec<u64>,
}

/// Which statistics to list.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct LatentStatsRequest(proto::ListLatentStatsRequest);

impl LatentStatsRequest {
    /// All latents of the SAE of `cache`; the cache must hold one SAE alone unless one is named.
    pub fn new(cache: impl Into<String>) -> Self {
        Self(proto::ListLatentStatsRequest {
            cache: cache.into(),
            ..Default::default()
        })
    }

    /// All latents of `sae`, over the cache that holds it, the only one or the pinned one.
    pub fn of_sae(sae: impl Into<String>) -> Self {
        Self(proto::ListLatentStatsRequest {
            sae: sae.into(),
            ..Default::default()
        })
    }

    /// The SAE.
    pub fn sae(mut self, sae: impl Into<String>) -> Self {
        self.0.sae = sae.into();
        self
    }

    /// Only these latents.
    pub fn latents(mut self, latents: impl IntoIterator<Item = u32>) -> Self {
        self.0.latents = latents.into_iter().collect();
        self
    }

    /// Leaves out the histograms.
    pub fn without_histograms(mut self) -> Self {
        self.0.omit_histogram = true;
        self
    }
}

impl Client {
    /// Statistics of latents over a cache, by latent.
    pub fn latent_stats(&self, request: LatentStatsRequest) -> Pages<LatentStats> {
        let client = self.clone();
        Pages::new(move |page_token| {
            let client = client.clone();
            let request = proto::ListLatentStatsRequest {
                page_token,
                ..request.0.clone()
            };
            async move {
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, cache_service_client::CacheServiceClient)
                            .list_latent_stats(request)
                            .await
                    })
                    .await?;
                Ok((
                    page.stats.into_iter().map(LatentStats::from).collect(),
                    page.next_page_token,
                ))
            }
        })
    }
}

impl From<proto::LatentStats> for LatentStats {
    fn from(stats: proto::LatentStats) -> Self {
        let proto::LatentStats {
            latent,
            count,
            density,
            max,
            mean,
            mean_square,
            histogram,
        } = stats;
        Self {
            latent,
            count,
            density,
            max,
            mean,
            mean_square,
            histogram,
        }
    }
}
