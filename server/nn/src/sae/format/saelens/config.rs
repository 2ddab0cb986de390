//! `cfg.json` as SAELens 6 writes it; what older versions wrote is brought to that form first ([`super::pre6`]).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::pre6;
use crate::error::LoadError;

/// Largest `cfg.json` that is read; real ones have a few kilobytes.
const MAX_BYTES: u64 = 4 << 20;

/// What latentd needs of a `cfg.json`, with SAELens' defaults.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) path: PathBuf,
    pub(super) architecture: String,
    pub(super) d_in: usize,
    pub(super) d_sae: usize,
    pub(super) k: Option<usize>,
    pub(super) rescale_acts_by_decoder_norm: bool,
    pub(super) apply_b_dec_to_input: bool,
    pub(super) normalize_activations: String,
    pub(super) norm_scaling_factor: Option<f32>,
    pub(super) reshape_activations: String,
    pub(super) hook_name: Option<String>,
    pub(super) model_name: String,
    pub(super) prepend_bos: bool,
    pub(super) context_size: Option<usize>,
    pub(super) neuronpedia_id: Option<String>,
    pub(super) l0: Option<f64>,
    activation_fn: Option<String>,
    hook_head_index: Option<usize>,
    pub(super) model_options: Map<String, Value>,
}

impl Config {
    /// Reads a `cfg.json` of any version.
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let malformed = |detail| LoadError::MalformedConfig {
            path: path.to_owned(),
            detail,
        };
        let bytes = latentd_files::read(path, MAX_BYTES)
            .map_err(|error| LoadError::of_file(path, error, |_, detail| malformed(detail)))?;
        let fields: Map<String, Value> = serde_json::from_slice(&bytes)
            .map_err(|error| malformed(format!("not a JSON object: {error}")))?;
        Self::parse(fields, path).map_err(malformed)
    }

    fn parse(fields: Map<String, Value>, path: &Path) -> Result<Self, String> {
        let fields = if pre6::is_pre6(&fields) {
            pre6::upgrade(fields)?
        } else {
            fields
        };
        let top = Fields { map: &fields };
        let none = Map::new();
        let metadata = match fields.get("metadata") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(metadata)) => metadata,
            Some(_) => return Err("`metadata` must be an object".to_owned()),
        };
        let metadata = Fields { map: metadata };
        Ok(Self {
            path: path.to_owned(),
            architecture: top
                .string("architecture")?
                .ok_or("`architecture` is missing")?,
            d_in: top.width("d_in")?,
            d_sae: top.width("d_sae")?,
            k: top.whole("k")?,
            rescale_acts_by_decoder_norm: top
                .bool("rescale_acts_by_decoder_norm")?
                .unwrap_or(false),
            apply_b_dec_to_input: top.bool("apply_b_dec_to_input")?.unwrap_or(true),
            normalize_activations: top
                .string("normalize_activations")?
                .unwrap_or_else(|| "none".into()),
            norm_scaling_factor: top
                .number("norm_scaling_factor")?
                .or(metadata.number("norm_scaling_factor")?)
                .map(|factor| factor as f32),
            reshape_activations: top
                .string("reshape_activations")?
                .unwrap_or_else(|| "none".into()),
            hook_name: metadata.string("hook_name")?,
            model_name: metadata.string("model_name")?.unwrap_or_default(),
            prepend_bos: metadata.bool("prepend_bos")?.unwrap_or(true),
            context_size: metadata.whole("context_size")?.filter(|&tokens| tokens > 0),
            neuronpedia_id: metadata.string("neuronpedia_id")?,
            l0: metadata.number("l0")?,
            activation_fn: top.string("activation_fn")?,
            hook_head_index: metadata.whole("hook_head_index")?,
            model_options: metadata.object("model_from_pretrained_kwargs")?,
        })
    }

    /// Whether every option is one that is known here; if not, which one and why.
    pub(super) fn check_supported(&self) -> Result<(), String> {
        let expected = if self.architecture == "topk" {
            "topk"
        } else {
            "relu"
        };
        if let Some(name) = self
            .activation_fn
            .as_deref()
            .filter(|&name| name != expected && name != "relu")
        {
            return Err(format!(
                "the activation function `{name}` is not supported with the architecture `{}`; supported are relu, \
                 and topk with a `k`",
                self.architecture
            ));
        }
        if let Some(head) = self.hook_head_index {
            return Err(format!(
                "the SAE reads head {head} alone (`hook_head_index`), which is not supported"
            ));
        }
        Ok(())
    }
}

/// Typed reading of a JSON object. An absent field and `null` are the same, as in SAELens.
struct Fields<'a> {
    map: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &self,
        name: &str,
        kind: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => convert(value)
                .map(Some)
                .ok_or_else(|| format!("`{name}` must be {kind}")),
        }
    }

    fn string(&self, name: &str) -> Result<Option<String>, String> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    fn bool(&self, name: &str) -> Result<Option<bool>, String> {
        self.typed(name, "true or false", Value::as_bool)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        self.typed(name, "a number", Value::as_f64)
    }

    fn whole(&self, name: &str) -> Result<Option<usize>, String> {
        self.typed(name, "a whole number", |value| {
            value.as_u64().and_then(|n| usize::try_from(n).ok())
        })
    }

    fn object(&self, name: &str) -> Result<Map<String, Value>, String> {
        self.typed(name, "an object", |value| value.as_object().cloned())
            .map(Option::unwrap_or_default)
    }

    /// A dimension: present, above 0, and small enough that indices fit 32 bits.
    fn width(&self, name: &str) -> Result<usize, String> {
        let width = self
            .whole(name)?
            .ok_or_else(|| format!("`{name}` is missing"))?;
        if width == 0 || u32::try_from(width).is_err() {
            return Err(format!(
                "`{name}` is {width}, which is not a possible width"
            ));
        }
        Ok(width)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<Config, String> {
        let Value::Object(fields) = value else {
            unreachable!("tests give objects")
        };
        Config::parse(fields, Path::new("cfg.json"))
    }

    fn v6(extra: Value) -> Value {
        let mut base = json!({
            "architecture": "standard", "d_in": 4, "d_sae": 8,
            "metadata": {"sae_lens_version": "6.1.0", "hook_name": "blocks.0.hook_resid_pre"},
        });
        if let (Value::Object(base), Value::Object(extra)) = (&mut base, extra) {
            base.extend(extra);
        }
        base
    }

    #[test]
    fn defaults_are_saelens() {
        let config = parse(v6(json!({}))).unwrap();
        assert!(
            config.apply_b_dec_to_input
                && config.prepend_bos
                && !config.rescale_acts_by_decoder_norm
        );
        assert_eq!(
            (
                config.normalize_activations.as_str(),
                config.reshape_activations.as_str()
            ),
            ("none", "none")
        );
        assert_eq!(config.check_supported(), Ok(()));
    }

    #[test]
    fn wrong_types_are_named() {
        for (field, value) in [
            ("d_in", json!(-1)),
            ("d_sae", json!(0)),
            ("d_sae", json!("8")),
            ("k", json!(1.5)),
        ] {
            assert!(
                parse(v6(json!({field: value})))
                    .unwrap_err()
                    .contains(field),
                "{field}"
            );
        }
        assert!(
            parse(v6(json!({"metadata": 3})))
                .unwrap_err()
                .contains("metadata")
        );
    }

    #[test]
    fn unsupported_options_are_refused() {
        let refusal = |value| parse(v6(value)).unwrap().check_supported().unwrap_err();
        assert!(refusal(json!({"activation_fn": "tanh-relu"})).contains("tanh-relu"));
        let version = json!("6.1.0");
        let metadata = json!({"sae_lens_version": version, "hook_head_index": 3});
        assert!(refusal(json!({"metadata": metadata})).contains("head 3"));
    }
}
