//! What a model's configuration says, checked: one struct per family, whether it was written as `config.json` or as GGUF
//! metadata. Numbers are nonzero, divide as they must, and stay under bounds that keep a broken file from asking for
//! absurd allocations.

mod bert;
mod gpt2;
mod keys;
mod llama;
mod rope;

use std::path::Path;

pub(crate) use bert::BertConfig;
pub use gpt2::Gpt2Config;
pub(crate) use gpt2::Gpt2Dims;
pub use llama::LlamaConfig;
pub(crate) use llama::LlamaDims;
pub use rope::{RopeConfig, RopeScaling, Yarn};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::error::LoadError;

/// Longest `config.json` that is read.
const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// Bounds on dimensions. A length near the bound of `context_length` is legal, so nothing may be allocated in advance in
/// proportion to it.
const MAX_VOCAB: u64 = 1 << 24;
const MAX_WIDTH: u64 = 1 << 22;
const MAX_LAYERS: u64 = 1 << 12;
const MAX_HEADS: u64 = 1 << 14;
const MAX_CONTEXT: u64 = 1 << 24;

/// The configuration of a model, by family.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelConfig {
    /// Llama, and models that are a llama by another name.
    Llama(LlamaConfig),
    /// GPT-2.
    Gpt2(Gpt2Config),
}

/// Special tokens that `config.json` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpecialIds {
    /// Beginning of a sequence; 0 is an id like any other.
    pub(crate) bos: Option<u32>,
    /// End of a sequence.
    pub(crate) eos: Option<u32>,
}

/// What every family's `config.json` has.
#[derive(Deserialize)]
struct RawCommon {
    model_type: Option<String>,
    bos_token_id: Option<OneOrMany>,
    eos_token_id: Option<OneOrMany>,
}

/// A token id, or several of which the first counts.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

impl OneOrMany {
    fn first(self) -> Option<u32> {
        match self {
            Self::One(id) => Some(id),
            Self::Many(ids) => ids.first().copied(),
        }
    }
}

/// Why a configuration is refused, before the path is known.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A field is missing or has an impossible value.
    Malformed(String),
    /// It asks for something that the family's code does not do.
    Unsupported(String),
}

impl Refusal {
    pub(crate) fn at(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            Self::Malformed(detail) => LoadError::MalformedConfig { path, detail },
            Self::Unsupported(detail) => LoadError::UnsupportedModel { path, detail },
        }
    }
}

impl ModelConfig {
    /// The families that can be run, by the names of `model_type` and of GGUF's `general.architecture`.
    pub const FAMILIES: [&'static str; 2] = ["llama", "gpt2"];

    /// `llama` or `gpt2`.
    pub const fn family(&self) -> &'static str {
        match self {
            Self::Llama(_) => "llama",
            Self::Gpt2(_) => "gpt2",
        }
    }

    /// Number of token ids.
    pub const fn vocab(&self) -> usize {
        match self {
            Self::Llama(config) => config.vocab,
            Self::Gpt2(config) => config.vocab,
        }
    }

    /// Names and shapes of all tensors that the model needs, in Hugging Face's names.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Self::Llama(config) => config.tensors(),
            Self::Gpt2(config) => config.tensors(),
        }
    }

    /// What stands before the names of all tensors but the head's.
    pub(super) const fn prefix(&self) -> &'static str {
        match self {
            Self::Llama(_) => "model.",
            Self::Gpt2(_) => "transformer.",
        }
    }

    /// The name of the embedding's weights.
    pub(super) const fn embedding(&self) -> &'static str {
        match self {
            Self::Llama(_) => "model.embed_tokens.weight",
            Self::Gpt2(_) => "transformer.wte.weight",
        }
    }

    /// Reads `config.json`.
    pub(crate) fn read(path: &Path) -> Result<(Self, SpecialIds), LoadError> {
        let json = latentd_files::read(path, MAX_CONFIG_BYTES).map_err(|error| {
            LoadError::of_file(path, error, |path, detail| LoadError::MalformedConfig {
                path,
                detail,
            })
        })?;
        Self::parse(&json).map_err(|refusal| refusal.at(path))
    }

    fn parse(json: &[u8]) -> Result<(Self, SpecialIds), Refusal> {
        let common: RawCommon = fields(&from_json(json)?)?;
        let special = SpecialIds {
            bos: common.bos_token_id.and_then(OneOrMany::first),
            eos: common.eos_token_id.and_then(OneOrMany::first),
        };
        let config = match common.model_type.as_deref() {
            Some("llama") => Self::Llama(LlamaConfig::from_json(json)?),
            Some("gpt2") => Self::Gpt2(Gpt2Config::from_json(json)?),
            Some(other) => return Err(unknown_family("model_type", other)),
            None => return Err(Refusal::Malformed("it has no `model_type`".to_owned())),
        };
        Ok((config, special))
    }
}

/// The refusal of a family that no code runs.
pub(crate) fn unknown_family(field: &str, found: &str) -> Refusal {
    let supported = ModelConfig::FAMILIES.join(", ");
    let encoder = BertConfig::FAMILY;
    Refusal::Unsupported(format!(
        "{field} `{found}` is not supported; supported are: {supported}, and in folders the sentence encoder {encoder}"
    ))
}

fn from_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(json).map_err(|error| Refusal::Malformed(error.to_string()))
}

/// The fields of `T` among the keys of a file.
fn fields<T: DeserializeOwned>(config: &Map<String, Value>) -> Result<T, Refusal> {
    serde_json::from_value(Value::Object(config.clone()))
        .map_err(|error| Refusal::Malformed(error.to_string()))
}

/// A count that must be there, not 0 and at most `max`.
fn count(name: &str, value: Option<u64>, max: u64) -> Result<usize, Refusal> {
    match value {
        None => Err(Refusal::Malformed(format!("`{name}` is missing"))),
        Some(0) => Err(Refusal::Malformed(format!("`{name}` is 0"))),
        Some(value) if value > max => Err(Refusal::Malformed(format!(
            "`{name}` is {value}, over the limit of {max}"
        ))),
        Some(value) => Ok(value as usize),
    }
}

/// A number that must be finite and above 0.
pub(crate) fn positive(name: &str, value: f64) -> Result<f64, Refusal> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Refusal::Malformed(format!(
            "`{name}` is {value}, which is not a positive number"
        )))
    }
}

/// `total` must be a multiple of `part`.
fn divides(total_name: &str, total: usize, part_name: &str, part: usize) -> Result<usize, Refusal> {
    match total.checked_rem(part) {
        Some(0) => Ok(total / part),
        _ => Err(Refusal::Malformed(format!(
            "`{total_name}` {total} is not a multiple of `{part_name}` {part}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_family_names_those_that_are_known() {
        let refusal = ModelConfig::parse(br#"{"model_type":"mamba"}"#)
            .unwrap_err()
            .at(Path::new("c.json"));
        assert!(matches!(refusal, LoadError::UnsupportedModel { .. }));
        let text = refusal.to_string();
        assert!(
            text.contains("`mamba`") && text.contains("llama, gpt2"),
            "{text}"
        );
    }

    #[test]
    fn several_end_tokens_and_token_zero_are_understood() {
        let json = br#"{"model_type":"gpt2","vocab_size":10,"n_embd":4,"n_layer":1,"n_head":2,"n_positions":8,
            "layer_norm_epsilon":1e-5,"bos_token_id":0,"eos_token_id":[7,8]}"#;
        let (_, special) = ModelConfig::parse(json).unwrap();
        assert_eq!(
            special,
            SpecialIds {
                bos: Some(0),
                eos: Some(7)
            }
        );
    }
}
