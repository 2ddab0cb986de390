//! BuildCache: what to encode, and how.

use latentd_proto::v1 as proto;

use crate::{Client, Job, Result, SpecialTokens, client::stub, retry::Repeat};

/// How corpus files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CorpusFormat {
    /// By the ending of each file.
    #[default]
    Auto,
    /// Each text file is one document.
    Text,
    /// Each line is one document.
    Lines,
    /// Each line is one JSON object and one document.
    Jsonl,
    /// Each row of a Parquet file is one document.
    Parquet,
    /// Each row of an Arrow file, or stream, is one document.
    Arrow,
}

impl From<CorpusFormat> for proto::corpus::Format {
    fn from(format: CorpusFormat) -> Self {
        match format {
            CorpusFormat::Auto => Self::Unspecified,
            CorpusFormat::Text => Self::Text,
            CorpusFormat::Lines => Self::Lines,
            CorpusFormat::Jsonl => Self::Jsonl,
            CorpusFormat::Parquet => Self::Parquet,
            CorpusFormat::Arrow => Self::Arrow,
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

/// Text to encode: files or folders on the server's disk, or what was uploaded.
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

    /// What [`Client::upload_corpus`] stored, by its name.
    pub fn uploaded(name: impl Into<String>) -> Self {
        Self(proto::Corpus {
            uploaded: name.into(),
            ..Default::default()
        })
    }

    /// How the files are read.
    pub fn format(mut self, format: CorpusFormat) -> Self {
        self.0.set_format(format.into());
        self
    }

    /// Field or column that holds the text, of JSON, Parquet and Arrow; `text` unless set.
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
}
