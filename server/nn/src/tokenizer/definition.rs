//! Reading `tokenizer.json` and the files beside it, and what of it counts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::{pieces, text::Spelling};
use crate::{error::LoadError, weights::config::SpecialIds};

/// Longest tokenizer file that is read. The largest in use have some 35 MB.
pub(super) const MAX_BYTES: u64 = 256 << 20;
/// Bound on token ids, which index tables.
pub(super) const MAX_IDS: usize = 1 << 24;

/// A tokenizer as its file defines it.
pub(super) struct Definition {
    pub(super) inner: tokenizers::Tokenizer,
    pub(super) spelling: Spelling,
    /// Whether long texts can be given to it in pieces.
    pub(super) can_cut: bool,
}

impl Definition {
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let json = latentd_files::read(path, MAX_BYTES)
            .map_err(|error| LoadError::of_file(path, error, malformed))?;
        Self::parse(&json).map_err(|detail| malformed(path.to_owned(), detail))
    }

    /// Parses a `tokenizer.json`.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if value
            .pointer("/model/dropout")
            .and_then(Value::as_f64)
            .is_some_and(|dropout| dropout != 0.0)
        {
            return Err("its `dropout` would make tokens random".to_owned());
        }
        let spelling = Spelling::of(&value);
        let can_cut = pieces::can_cut(&value);
        drop(value);
        let mut inner =
            tokenizers::Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
        // A file may carry the truncation and padding of somebody's training run; and the post-processor adds special
        // tokens, which is the caller's choice here, or trims the spaces off offsets.
        inner
            .with_truncation(None)
            .map_err(|error| error.to_string())?;
        inner.with_padding(None);
        inner.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
        Ok(Self {
            inner,
            spelling,
            can_cut,
        })
    }
}

/// One more than the largest id.
pub(super) fn ids(inner: &tokenizers::Tokenizer) -> Result<usize, String> {
    let largest = inner
        .get_vocab(true)
        .into_values()
        .max()
        .ok_or_else(|| "it has no tokens".to_owned())?;
    match largest as usize + 1 {
        ids if ids > MAX_IDS => Err(format!(
            "it has the token id {largest}, over the limit of {MAX_IDS}"
        )),
        ids => Ok(ids),
    }
}

/// The digest of [`super::Tokenizer::digest`].
pub(super) fn digest(inner: &tokenizers::Tokenizer, special: SpecialIds) -> Result<String, String> {
    let canonical = inner.to_string(false).map_err(|error| error.to_string())?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(canonical.as_bytes());
    hasher.update(format!("\nbos {:?}\neos {:?}\n", special.bos, special.eos).as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

/// The fields of `tokenizer_config.json` that matter.
#[derive(Default, Deserialize)]
struct RawConfig {
    bos_token: Option<RawToken>,
    eos_token: Option<RawToken>,
    cls_token: Option<RawToken>,
    sep_token: Option<RawToken>,
    added_tokens_decoder: Option<BTreeMap<String, RawToken>>,
}

/// A token by its content, or with how it is matched beside.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawToken {
    Plain(String),
    Described { content: String },
}

impl RawToken {
    fn content(&self) -> &str {
        let (Self::Plain(content) | Self::Described { content }) = self;
        content
    }
}

/// Beginning and end of sequence of the tokenizer at `path`.
pub(super) fn special_ids(
    path: &Path,
    definition: &Definition,
    fallback: SpecialIds,
) -> Result<SpecialIds, LoadError> {
    let config = config_beside(path)?;
    // Older versions of transformers wrote the special tokens into a file of their own.
    let map = beside(path, "special_tokens_map.json")?;
    check_added(path, definition, &config)?;
    let id = |name: &str, token: Option<RawToken>, older: Option<RawToken>| {
        let token = token.or(older).filter(|token| !token.content().is_empty());
        let Some(token) = token else {
            return Ok(None);
        };
        let id = definition.inner.token_to_id(token.content());
        id.map(Some).ok_or_else(|| LoadError::MalformedTokenizer {
            path: path.to_owned(),
            detail: format!(
                "its `{name}` is `{}`, which is not one of its tokens",
                token.content()
            ),
        })
    };
    Ok(SpecialIds {
        bos: id("bos_token", config.bos_token, map.bos_token)?.or(fallback.bos),
        eos: id("eos_token", config.eos_token, map.eos_token)?.or(fallback.eos),
    })
}

/// Tokens that `tokenizer_config.json` adds must be those of the tokenizer: transformers would add what it lacks.
fn check_added(path: &Path, definition: &Definition, config: &RawConfig) -> Result<(), LoadError> {
    let other = config
        .added_tokens_decoder
        .iter()
        .flatten()
        .find(|(id, token)| {
            definition.inner.token_to_id(token.content()) != id.parse::<u32>().ok()
        });
    match other {
        None => Ok(()),
        Some((id, token)) => Err(LoadError::MalformedTokenizer {
            path: path.to_owned(),
            detail: format!(
                "`tokenizer_config.json` adds the token {id}, `{}`, which it does not have",
                token.content()
            ),
        }),
    }
}

/// What encloses a text in the bert family, as beginning and end of sequence.
pub(super) fn enclosing_ids(path: &Path, definition: &Definition) -> Result<SpecialIds, LoadError> {
    let config = config_beside(path)?;
    check_added(path, definition, &config)?;
    let id = |token: Option<RawToken>, default: &str| {
        let name = token.map_or_else(|| default.to_owned(), |token| token.content().to_owned());
        let missing = || LoadError::MalformedTokenizer {
            path: path.to_owned(),
            detail: format!("it lacks the token `{name}`, which encloses a text"),
        };
        definition.inner.token_to_id(&name).ok_or_else(missing)
    };
    Ok(SpecialIds {
        bos: Some(id(config.cls_token, "[CLS]")?),
        eos: Some(id(config.sep_token, "[SEP]")?),
    })
}

/// The `tokenizer_config.json` beside the tokenizer at `path`, if there is one.
fn config_beside(path: &Path) -> Result<RawConfig, LoadError> {
    beside(path, "tokenizer_config.json")
}

fn beside(path: &Path, name: &str) -> Result<RawConfig, LoadError> {
    let path = path.with_file_name(name);
    let json = latentd_files::read_if_present(&path, MAX_BYTES);
    let Some(json) = json.map_err(|error| LoadError::of_file(&path, error, malformed))? else {
        return Ok(RawConfig::default());
    };
    serde_json::from_slice(&json).map_err(|error| LoadError::MalformedTokenizer {
        path,
        detail: error.to_string(),
    })
}

fn malformed(path: PathBuf, detail: String) -> LoadError {
    LoadError::MalformedTokenizer { path, detail }
}
