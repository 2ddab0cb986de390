//! What a sentence encoder's folder says beside the model: how token vectors become one, and how long a text may be.
//!
//! The files are those of sentence-transformers (its modules `Transformer`, `Pooling` and `Normalize`).

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::modules::{self, Pooling};
use crate::error::LoadError;

/// Longest of these files that is read.
const MAX_BYTES: u64 = 16 << 20;

/// The configuration of the module `Transformer`, under its name of today and those of older versions; the first that is
/// there counts.
const TRANSFORMER: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

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

/// The configuration of the module `Transformer`.
#[derive(Default, Deserialize)]
struct RawTransformer {
    max_seq_length: Option<u64>,
    do_lower_case: Option<bool>,
    transformer_task: Option<String>,
    module_output_name: Option<String>,
    query_length: Option<Value>,
    document_length: Option<Value>,
    query_expansion: Option<Value>,
    tokenizer_name_or_path: Option<String>,
    processing_kwargs: Option<Value>,
    #[serde(alias = "model_args")]
    model_kwargs: Option<Value>,
    #[serde(alias = "tokenizer_args")]
    processor_kwargs: Option<Value>,
    #[serde(alias = "config_args")]
    config_kwargs: Option<Value>,
}

impl RawTransformer {
    /// Whether everything that changes an embedding is one that is done here; if not, its name.
    fn changed(&self) -> Option<&'static str> {
        let is = |value: &Option<String>, expected| {
            value.as_deref().is_none_or(|value| value == expected)
        };
        let is_empty = |value: &Option<Value>| match value {
            None => true,
            Some(Value::Object(values)) => values.is_empty(),
            Some(_) => false,
        };
        [
            (
                "transformer_task",
                is(&self.transformer_task, "feature-extraction"),
            ),
            (
                "module_output_name",
                is(&self.module_output_name, "token_embeddings"),
            ),
            ("query_length", is_empty(&self.query_length)),
            ("document_length", is_empty(&self.document_length)),
            ("query_expansion", is_empty(&self.query_expansion)),
            (
                "tokenizer_name_or_path",
                self.tokenizer_name_or_path.is_none(),
            ),
            ("processing_kwargs", is_empty(&self.processing_kwargs)),
            ("model_kwargs", is_empty(&self.model_kwargs)),
            ("processor_kwargs", is_empty(&self.processor_kwargs)),
            ("config_kwargs", is_empty(&self.config_kwargs)),
        ]
        .into_iter()
        .find_map(|(name, same)| (!same).then_some(name))
    }
}

/// `config_sentence_transformers.json`.
#[derive(Default, Deserialize)]
struct RawModel {
    default_prompt_name: Option<String>,
    truncate_dim: Option<u64>,
    model_type: Option<String>,
}

impl RawModel {
    /// What of it is not supported.
    fn changed(&self) -> Option<String> {
        if let Some(name) = &self.default_prompt_name {
            return Some(format!("the default prompt `{name}` is not supported"));
        }
        if let Some(width) = self.truncate_dim {
            return Some(format!(
                "embeddings cut to {width} numbers (`truncate_dim`) are not supported"
            ));
        }
        let kind = self.model_type.as_deref().unwrap_or("SentenceTransformer");
        (kind != "SentenceTransformer").then(|| {
            format!("the model type `{kind}` is not supported; supported is: SentenceTransformer")
        })
    }
}

/// The part of `tokenizer_config.json` that says how long a text may be: a number too large for an integer if it does not.
#[derive(Default, Deserialize)]
struct RawTokenizer {
    model_max_length: Option<f64>,
}

impl Settings {
    /// Reads the files of `folder`, whose model has `positions` positions.
    pub(super) fn read(folder: &Path, positions: usize) -> Result<Self, LoadError> {
        let (pooling, normalise) = modules::of(folder)?;
        let model: RawModel =
            optional(&folder.join("config_sentence_transformers.json"))?.unwrap_or_default();
        if let Some(detail) = model.changed() {
            return Err(unsupported(folder, detail));
        }
        let transformer = transformer(folder)?;
        let tokenizer: RawTokenizer =
            optional(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
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
        Ok(Self {
            pooling,
            normalise,
            max_tokens: max_tokens.min(positions),
            lower_case: transformer.do_lower_case == Some(true),
        })
    }
}

fn transformer(folder: &Path) -> Result<RawTransformer, LoadError> {
    for name in TRANSFORMER {
        let path = folder.join(name);
        if let Some(raw) = optional::<RawTransformer>(&path)? {
            return match raw.changed() {
                None => Ok(raw),
                Some(key) => Err(unsupported(
                    &path,
                    format!("`{key}` changes what the model computes and is not supported"),
                )),
            };
        }
    }
    Ok(RawTransformer::default())
}

/// A file that need not be there.
pub(super) fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LoadError> {
    let json = latentd_files::read_if_present(path, MAX_BYTES);
    let Some(json) = json.map_err(|error| unread(path, error))? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&json);
    value
        .map(Some)
        .map_err(|error| malformed(path, error.to_string()))
}

/// A file that must be there.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    latentd_files::read(path, MAX_BYTES).map_err(|error| unread(path, error))
}

fn unread(path: &Path, error: latentd_files::Error) -> LoadError {
    LoadError::of_file(path, error, |path, detail| LoadError::MalformedConfig {
        path,
        detail,
    })
}

pub(super) fn malformed(path: &Path, detail: String) -> LoadError {
    LoadError::MalformedConfig {
        path: path.to_owned(),
        detail,
    }
}

pub(super) fn unsupported(path: &Path, detail: String) -> LoadError {
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

    const MEAN: (&str, &str) = ("1_Pooling/config.json", r#"{"pooling_mode":"mean"}"#);

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
                ("modules.json", MODULES),
                MEAN,
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
        let sound = |name, json| settings(&[("modules.json", MODULES), MEAN, (name, json)]);
        let model = "config_sentence_transformers.json";
        for refused in [
            pooling(r#"{"pooling_mode_max_tokens":true}"#),
            pooling(r#"{"pooling_mode":["cls","mean"]}"#),
            settings(&[("modules.json", dense)]),
            sound(model, prompt),
            sound(model, r#"{"truncate_dim":8}"#),
            sound(model, r#"{"model_type":"SparseEncoder"}"#),
            sound(
                "sentence_bert_config.json",
                r#"{"model_args":{"attention_dropout":0.1}}"#,
            ),
            sound(
                "sentence_bert_config.json",
                r#"{"module_output_name":"sentence_embedding"}"#,
            ),
        ] {
            assert_eq!(refused.unwrap_err().reason(), Reason::UnsupportedModel);
        }
        let broken = settings(&[("modules.json", "{")]);
        assert_eq!(broken.unwrap_err().reason(), Reason::MalformedConfig);
    }

    #[test]
    fn what_modules_name_must_be_there() {
        let lost = settings(&[("modules.json", MODULES)]).unwrap_err();
        assert_eq!(lost.reason(), Reason::PathNotReadable);
        assert!(lost.to_string().contains("1_Pooling"), "{lost}");
        // Git keeps no empty folder, and a `Normalize` has nothing to say.
        assert!(pooling(r#"{"pooling_mode":"cls"}"#).unwrap().normalise);
        for companion in [
            MEAN,
            ("sentence_bert_config.json", "{}"),
            ("config_sentence_transformers.json", "{}"),
        ] {
            let lost = settings(&[companion]).unwrap_err();
            assert_eq!(lost.reason(), Reason::MalformedConfig);
            assert!(lost.to_string().contains("modules.json"), "{lost}");
        }
    }

    #[test]
    fn modules_have_their_places() {
        let module = |kind: &str, path: &str| {
            format!(r#"{{"path":"{path}","type":"sentence_transformers.models.{kind}"}}"#)
        };
        let (transformer, normalize) = (module("Transformer", ""), module("Normalize", "2"));
        let pooling = module("Pooling", "1_Pooling");
        let below = module("Transformer", "0_Transformer");
        let foreign = r#"{"path":"1_Pooling","type":"custom_models.Pooling"}"#.to_owned();
        for modules in [
            vec![&transformer],
            vec![&transformer, &normalize],
            vec![&transformer, &normalize, &pooling],
            vec![&transformer, &pooling, &pooling],
            vec![&below, &pooling],
            vec![&transformer, &foreign],
            vec![],
        ] {
            let modules: Vec<&str> = modules.into_iter().map(String::as_str).collect();
            let json = format!("[{}]", modules.join(","));
            let refused = settings(&[("modules.json", &json), MEAN]).unwrap_err();
            assert_eq!(refused.reason(), Reason::UnsupportedModel, "{json}");
        }
    }
}
