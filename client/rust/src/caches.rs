//! CacheService, but for its examples: building, listing and deleting caches, and statistics of latents.

use std::time::SystemTime;

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{
    Client, Job, Pages, Result, SpecialTokens, client::stub, retry::Repeat, time::system_time,
};

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
}

/// Statistics of one latent over a cache, of tokens that were encoded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatentStats {
    /// Index of the latent.
    pub latent: u32,
    /// Tokens on which it fires.
    pub count: u64,
    /// `count` over the number of tokens that were encoded.
    pub density: f64,
    /// Highest activation.
    pub max: f32,
    /// Mean activation where it fires.
    pub mean: f64,
    /// Mean squared activation where it fires.
    pub mean_square: f64,
    /// Bucket i counts activations in `[2^(i/2 − 16), 2^((i+1)/2 − 16))`; the ends hold what lies beyond.
    pub histogram: Vec<u64>,
}

/// How corpus files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CorpusFormat {
    /// By the ending of each file.
    #[default]
    Auto,
    /// Each text file is one document.
    Text,
    /// Each line that is not blank is one document.
    Lines,
    /// Each line is one JSON object and one document.
    Jsonl,
    /// Each row of a Parquet file is one document.
    Parquet,
}

impl From<CorpusFormat> for proto::corpus::Format {
    fn from(format: CorpusFormat) -> Self {
        match format {
            CorpusFormat::Auto => Self::Unspecified,
            CorpusFormat::Text => Self::Text,
            CorpusFormat::Lines => Self::Lines,
            CorpusFormat::Jsonl => Self::Jsonl,
            CorpusFormat::Parquet => Self::Parquet,
        }
    }
}

/// Number format of stored activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationDtype {
    /// 16 bits.
    #[default]
    F16,
    /// 32 bits.
    F32,
}

/// Text to encode: files or folders on the server's disk.
#[derive(Clone, Debug)]
#[must_use]
pub struct Corpus(proto::Corpus);

impl Corpus {
    /// These files, and the files of these folders.
    pub fn new<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Self {
        let paths = paths.into_iter().map(Into::into).collect();
        Self(proto::Corpus {
            paths,
            ..Default::default()
        })
    }

    /// How the files are read.
    pub fn format(mut self, format: CorpusFormat) -> Self {
        self.0.set_format(format.into());
        self
    }

    /// Field or column that holds the text, of JSONL and Parquet; `text` unless set.
    pub fn text_field(mut self, field: impl Into<String>) -> Self {
        self.0.text_field = field.into();
        self
    }
}

/// A cache to build.
///
/// A request id is chosen at random unless one is given, so that a build whose answer is lost is not begun twice.
#[derive(Clone, Debug)]
#[must_use]
pub struct BuildCacheRequest(proto::BuildCacheRequest);

impl BuildCacheRequest {
    /// Encodes `corpus` with `sae`: `{model}/{sae}`, or the full resource name.
    pub fn new(sae: impl Into<String>, corpus: Corpus) -> Self {
        Self(proto::BuildCacheRequest {
            saes: vec![sae.into()],
            corpus: Some(corpus.0),
            ..Default::default()
        })
    }

    /// Adds another SAE of the same model. The model runs once for all.
    pub fn and_sae(mut self, sae: impl Into<String>) -> Self {
        self.0.saes.push(sae.into());
        self
    }

    /// Id to give the cache; the server chooses one otherwise.
    pub fn cache_id(mut self, id: impl Into<String>) -> Self {
        self.0.cache_id = id.into();
        self
    }

    /// Longest row, in tokens, beginning-of-sequence included.
    pub fn context_length(mut self, tokens: u32) -> Self {
        self.0.context_length = tokens;
        self
    }

    /// Tokens to encode at most; the whole corpus otherwise.
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.0.max_tokens = tokens;
        self
    }

    /// Shuffles the documents, unless it is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Whether rows get a beginning-of-sequence token in front. What the first SAE was trained on, unless set.
    pub fn prepend_bos(mut self, prepend: bool) -> Self {
        self.0.prepend_bos = Some(prepend);
        self
    }

    /// What happens to special tokens.
    pub fn special_tokens(mut self, special: SpecialTokens) -> Self {
        self.0.set_special_tokens(special.into());
        self
    }

    /// Number format of stored activations.
    pub fn activation_dtype(mut self, dtype: ActivationDtype) -> Self {
        let name = match dtype {
            ActivationDtype::F16 => "f16",
            ActivationDtype::F32 => "f32",
        };
        name.clone_into(&mut self.0.activation_dtype);
        self
    }

    /// Id of this request: the same id again is the same build, in this process or in another one.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
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

    /// All latents of `sae`, over the newest cache that is ready and holds it.
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
    /// Starts a job that encodes a corpus and stores what fires. [`Client::watch_job`] tells how it goes.
    pub async fn build_cache(&self, request: BuildCacheRequest) -> Result<Job> {
        let mut request = request.0;
        if request.request_id.is_empty() {
            request.request_id = uuid::Uuid::new_v4().to_string();
        }
        let job = self.call(Repeat::Always, request, |request| async {
            stub!(self, cache_service_client::CacheServiceClient)
                .build_cache(request)
                .await
        });
        Ok(job.await?.into())
    }

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
        let request = proto::GetCacheRequest {
            name: name.to_owned(),
        };
        let cache = self.call(Repeat::Always, request, |request| async {
            stub!(self, cache_service_client::CacheServiceClient)
                .get_cache(request)
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
        } = cached;
        Self {
            sae,
            hook_point,
            d_sae,
            digest,
            activations,
            firing_latents,
        }
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
