//! What a sentence encoder's folder says beside the model: how token vectors become one, and how long a text may be.
//!
//! The files are those of sentence-transformers (its modules `Transformer`, `Pooling` and `Normalize`). A folder without
//! them is a bare model, and is used as sentence-transformers uses one: the mean of the tokens, not normalised.

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};

use crate::error::LoadError;

/// Longest of these files that is read.
const MAX_BYTES: u64 = 16 << 20;

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean, special tokens included.
    Mean,
    /// The vector of the first token.
    First,
}

/// What is done around the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) pooling: Pooling,
    /// Embeddings are scaled to the length 1.
    pub(super) normalise: bool,
    /// Longest text, in tokens with the special ones.
    pub(super) max_tokens: usize,
    /// Texts are made lower-case first, whatever the tokenizer does.
    pub(super) lower_case: bool,
}

/// An entry of `modules.json`.
#[derive(Deserialize)]
struct RawModule {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
struct RawTransformer {
    max_seq_length: Option<u64>,
    do_lower_case: Option<bool>,
}

/// The configuration of a `Pooling`: the mode by name, or one flag a mode in files of older versions.
#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the file's")]
struct RawPooling {
    pooling_mode: Option<OneOrMany>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// `config_sentence_transformers.json`.
#[derive(Default, Deserialize)]
struct RawPrompts {
    default_prompt_name: Option<String>,
}

/// The part of `tokenizer_config.json` that says how long a text may be: a number too large for an integer if it does not.
#[derive(Default, Deserialize)]
struct RawTokenizer {
    model_max_length: Option<f64>,
}

impl Settings {
    /// Reads the files of `folder`, whose model has `positions` positions.
    pub(super) fn read(folder: &Path, positions: usize) -> Result<Self, LoadError> {
        let prompts: RawPrompts = optional(&folder.join("config_sentence_transformers.json"))?;
        if let Some(name) = prompts.default_prompt_name {
            return Err(unsupported(
                folder,
                format!("the default prompt `{name}` is not supported"),
            ));
        }
        let transformer: RawTransformer = optional(&folder.join("sentence_bert_config.json"))?;
        let tokenizer: RawTokenizer = optional(&folder.join("tokenizer_config.json"))?;
        let max_tokens = match (transformer.max_seq_length, tokenizer.model_max_length) {
            (Some(tokens), _) => usize::try_from(tokens).unwrap_or(positions),
            // `as` saturates: more than there are positions is as many as there are.
            (None, Some(tokens)) => tokens as usize,
            (None, None) => positions,
        };
        if max_tokens < 3 {
            let detail = format!("a text of at most {max_tokens} tokens has no room for a word");
            return Err(malformed(folder, detail));
        }
        let (pooling, normalise) = modules(folder)?;
        Ok(Self {
            pooling,
            normalise,
            max_tokens: max_tokens.min(positions),
            lower_case: transformer.do_lower_case == Some(true),
        })
    }
}

/// The modules after the model: pooling, and whether embeddings are normalised.
fn modules(folder: &Path) -> Result<(Pooling, bool), LoadError> {
    let modules: Option<Vec<RawModule>> = optional(&folder.join("modules.json"))?;
    let Some(modules) = modules else {
        return Ok((Pooling::Mean, false));
    };
    let (mut pooling, mut normalise) = (Pooling::Mean, false);
    for module in &modules {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Pooling" => {
                // The path is a name in the folder; one that leads out of it finds no file that fits.
                let raw = optional(&folder.join(&module.path).join("config.json"))?;
                pooling = mode(folder, raw)?;
            }
            "Normalize" => normalise = true,
            other => {
                let detail = format!(
                    "the module `{other}` is not supported; supported are: Transformer, Pooling, Normalize"
                );
                return Err(unsupported(folder, detail));
            }
        }
    }
    Ok((pooling, normalise))
}

fn mode(folder: &Path, raw: RawPooling) -> Result<Pooling, LoadError> {
    let flags = [
        ("cls", raw.pooling_mode_cls_token),
        ("max", raw.pooling_mode_max_tokens),
        ("mean", raw.pooling_mode_mean_tokens),
        (
            "mean_sqrt_len_tokens",
            raw.pooling_mode_mean_sqrt_len_tokens,
        ),
        ("weightedmean", raw.pooling_mode_weightedmean_tokens),
        ("lasttoken", raw.pooling_mode_lasttoken),
    ];
    let modes = match raw.pooling_mode {
        Some(OneOrMany::One(mode)) => vec![mode],
        Some(OneOrMany::Many(modes)) => modes,
        None => flags
            .iter()
            .filter(|(_, set)| *set)
            .map(|(mode, _)| (*mode).to_owned())
            .collect(),
    };
    match modes
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] | ["mean"] => Ok(Pooling::Mean),
        ["cls"] => Ok(Pooling::First),
        _ => Err(unsupported(
            folder,
            format!(
                "pooling by {} is not supported; supported are: mean, cls",
                modes.join(" and ")
            ),
        )),
    }
}

/// A file that need not be there.
fn optional<T: DeserializeOwned + Default>(path: &Path) -> Result<T, LoadError> {
    if path.exists() {
        let json = read(path)?;
        serde_json::from_slice(&json).map_err(|error| malformed(path, error.to_string()))
    } else {
        Ok(T::default())
    }
}

/// A file that must be there.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source| LoadError::PathNotReadable {
        path: path.to_owned(),
        source,
    };
    if fs_err::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(malformed(
            path,
            format!("it is longer than {MAX_BYTES} bytes"),
        ));
    }
    fs_err::read(path).map_err(unreadable)
}

fn malformed(path: &Path, detail: String) -> LoadError {
    LoadError::MalformedConfig {
        path: path.to_owned(),
        detail,
    }
}

fn unsupported(path: &Path, detail: String) -> LoadError {
    LoadError::UnsupportedModel {
        path: path.to_owned(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use latentd_domain::{HasReason, Reason};

    use super::*;

    fn settings(files: &[(&str, &str)]) -> Result<Settings, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        Settings::read(folder.path(), 512)
    }

    const MODULES: &str = r#"[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
        {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
        {"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]"#;

    fn pooling(config: &str) -> Result<Settings, LoadError> {
        settings(&[("modules.json", MODULES), ("1_Pooling/config.json", config)])
    }

    #[test]
    fn a_bare_model_is_used_as_its_peers_use_one() {
        let bare = Settings {
            pooling: Pooling::Mean,
            normalise: false,
            max_tokens: 512,
            lower_case: false,
        };
        assert_eq!(settings(&[]).unwrap(), bare);
        let endless = r#"{"model_max_length": 1000000000000000019884624838656}"#;
        assert_eq!(
            settings(&[("tokenizer_config.json", endless)]).unwrap(),
            bare
        );
    }

    #[test]
    fn both_spellings_of_a_pooling_mode_are_read() {
        let old = pooling(r#"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}"#);
        assert_eq!(old.unwrap().pooling, Pooling::First);
        let new =
            pooling(r#"{"embedding_dimension":8,"pooling_mode":"mean","include_prompt":true}"#);
        let new = new.unwrap();
        assert_eq!((new.pooling, new.normalise), (Pooling::Mean, true));
        assert_eq!(
            pooling(r#"{"pooling_mode":["cls"]}"#).unwrap().pooling,
            Pooling::First
        );
    }

    #[test]
    fn lengths_are_the_shorter_of_what_is_said() {
        let said = |tokens: &str| {
            let json = format!(r#"{{"max_seq_length":{tokens},"do_lower_case":true}}"#);
            settings(&[
                ("sentence_bert_config.json", &json),
                ("tokenizer_config.json", r#"{"model_max_length":100}"#),
            ])
        };
        assert_eq!(said("256").unwrap().max_tokens, 256);
        assert_eq!(said("9999").unwrap().max_tokens, 512);
        let none = said("null").unwrap();
        assert_eq!((none.max_tokens, none.lower_case), (100, true));
        assert_eq!(said("2").unwrap_err().reason(), Reason::MalformedConfig);
    }

    #[test]
    fn what_the_code_does_not_do_is_refused() {
        let dense = r#"[{"type":"sentence_transformers.models.Dense"}]"#;
        let prompt = r#"{"prompts":{"query":"query: "},"default_prompt_name":"query"}"#;
        for refused in [
            pooling(r#"{"pooling_mode_max_tokens":true}"#),
            pooling(r#"{"pooling_mode":["cls","mean"]}"#),
            settings(&[("modules.json", dense)]),
            settings(&[("config_sentence_transformers.json", prompt)]),
        ] {
            assert_eq!(refused.unwrap_err().reason(), Reason::UnsupportedModel);
        }
        let broken = settings(&[("modules.json", "{")]);
        assert_eq!(broken.unwrap_err().reason(), Reason::MalformedConfig);
    }
}
