//! What a cache is built from: the parsed and complete form of a BuildCache request, as a job keeps it.

use serde::{Deserialize, Serialize};

use crate::{CacheId, CorpusId, SaeName, SpecialTokens};

/// How corpus files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorpusFormat {
    /// By the ending of each file: `.txt`, `.jsonl` or `.ndjson`, `.json`, each also with `.gz` or `.zst`; `.parquet`, `.arrow`.
    #[default]
    Auto,
    /// UTF-8 text; each file is one document.
    Text,
    /// UTF-8 text; each line is one document.
    Lines,
    /// One JSON object on each line; each line is one document.
    Jsonl,
    /// Parquet; each row is one document.
    Parquet,
    /// An Arrow IPC file or stream; each row is one document.
    Arrow,
}

/// Text to encode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corpus {
    /// Files or folders; none if the corpus was uploaded.
    pub paths: Vec<String>,
    /// How the files are read.
    pub format: CorpusFormat,
    /// Field or column that holds the text, for JSON, Parquet and Arrow; `a.b` is field `b` of the object `a`.
    pub text_field: String,
    /// The corpus that was uploaded, in place of paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<CorpusId>,
}

/// Number format of stored activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivationDtype {
    /// IEEE half precision.
    #[default]
    F16,
    /// IEEE single precision.
    F32,
}

/// Everything that a cache build depends on; the same spec over the same files gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildCacheSpec {
    /// The cache to build.
    pub cache: CacheId,
    /// SAEs of one model; at least one.
    pub saes: Vec<SaeName>,
    /// Text to encode.
    pub corpus: Corpus,
    /// Longest row, in tokens, the beginning-of-sequence token included.
    pub context_length: usize,
    /// Tokens to encode at most; `None` for the whole corpus.
    pub max_tokens: Option<u64>,
    /// 0 keeps the order of the corpus, any other value shuffles it.
    pub seed: u64,
    /// Put the beginning-of-sequence token in front of each row.
    pub prepend_bos: bool,
    /// What happens to special tokens.
    pub special_tokens: SpecialTokens,
    /// Number format of stored activations.
    pub activation_dtype: ActivationDtype,
}
