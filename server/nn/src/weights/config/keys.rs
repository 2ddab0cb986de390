//! Keys of `config.json` that this crate does not compute and that change a model's numbers, in the family that the file
//! names or in the one that it was made from, each with the values that change nothing. Any other value is refused.
//!
//! Keys that stand in neither list change no numbers at a hook point (names, versions, training, generation, labels), or
//! are read by the family's own code.

use serde_json::{Map, Value};

use super::Refusal;

/// The values of a key that change nothing. `null` never does.
#[derive(Clone, Copy)]
enum Neutral {
    /// `false`, 0, an empty string, list or object.
    Off,
    /// `true`.
    On,
    /// The number 1.
    One,
    /// A list in which everything is this string.
    All(&'static str),
    /// A list in which everything is 1 or `true`.
    AllOn,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// What switches it off, or a number of tokens that no sequence exceeds.
    Window,
    /// No value.
    Never,
}

/// Keys of every family.
const COMMON: &[(&str, Neutral)] = &[
    // Weights that become other weights when they are loaded.
    ("quantization_config", Neutral::Off),
    ("compression_config", Neutral::Off),
    ("quantization", Neutral::Off),
    ("pruned_heads", Neutral::Off),
    ("per_layer_config", Neutral::Off),
    ("is_encoder_decoder", Neutral::Off),
    ("add_cross_attention", Neutral::Off),
];

/// Keys of language models.
const DECODER: &[(&str, Neutral)] = &[
    // Which tokens a token sees.
    ("is_causal", Neutral::On),
    ("use_bidirectional_attention", Neutral::Off),
    ("sliding_window", Neutral::Window),
    ("attention_chunk_size", Neutral::Window),
    ("layer_types", Neutral::All("full_attention")),
    ("no_rope_layers", Neutral::AllOn),
    ("no_rope_layer_interval", Neutral::Off),
    ("alibi", Neutral::Off),
    ("use_alibi", Neutral::Off),
    ("alibi_bias_max", Neutral::Off),
    (
        "position_embedding_type",
        Neutral::OneOf(&["absolute", "rope", "rotary"]),
    ),
    // Rotations by another name.
    ("rotary_pct", Neutral::One),
    ("rotary_dim", Neutral::Never),
    ("rotary_emb_base", Neutral::Never),
    ("rope_local_base_freq", Neutral::Never),
    ("rope_interleaved", Neutral::Off),
    ("mrope_section", Neutral::Off),
    // Factors and caps.
    ("attention_multiplier", Neutral::Never),
    ("query_pre_attn_scalar", Neutral::Never),
    ("embedding_multiplier", Neutral::One),
    ("residual_multiplier", Neutral::One),
    ("logits_scaling", Neutral::One),
    ("logit_scale", Neutral::One),
    ("lm_head_multiplier", Neutral::One),
    ("key_multiplier", Neutral::One),
    ("scale_emb", Neutral::One),
    ("scale_depth", Neutral::Never),
    ("dim_model_base", Neutral::Never),
    ("final_logit_softcapping", Neutral::Off),
    ("attn_logit_softcapping", Neutral::Off),
    ("attn_temperature_tuning", Neutral::Off),
    ("clip_qkv", Neutral::Off),
    ("qkv_clip", Neutral::Off),
    ("logit_soft_cap", Neutral::Off),
    // Other blocks.
    ("use_qk_norm", Neutral::Off),
    ("qk_norm", Neutral::Off),
    ("qk_layernorm", Neutral::Off),
    ("use_parallel_residual", Neutral::Off),
    ("parallel_attn", Neutral::Off),
    ("parallel_attention", Neutral::Off),
    ("multi_query", Neutral::Off),
    ("num_local_experts", Neutral::Off),
    ("num_experts", Neutral::Off),
    ("n_routed_experts", Neutral::Off),
    ("num_nextn_predict_layers", Neutral::Off),
    ("apply_residual_connection_post_layernorm", Neutral::Off),
];

/// Refuses a language model that any of its keys makes another one.
pub(super) fn check_decoder(config: &Map<String, Value>) -> Result<(), Refusal> {
    check(config, COMMON)?;
    check(config, DECODER)
}

/// The same for an encoder, which sees tokens on both sides.
pub(super) fn check_encoder(config: &Map<String, Value>) -> Result<(), Refusal> {
    check(config, COMMON)
}

fn check(config: &Map<String, Value>, keys: &[(&str, Neutral)]) -> Result<(), Refusal> {
    let changed = keys.iter().find_map(|&(key, neutral)| {
        let value = config.get(key).filter(|value| !value.is_null())?;
        (!neutral.is(value, config)).then_some((key, value))
    });
    match changed {
        None => Ok(()),
        Some((key, value)) => Err(Refusal::Unsupported(format!(
            "`{key}` = {} changes what the model computes and is not supported",
            shortened(value)
        ))),
    }
}

impl Neutral {
    fn is(self, value: &Value, config: &Map<String, Value>) -> bool {
        match self {
            Self::Off => is_off(value),
            Self::On => *value == Value::Bool(true),
            Self::One => value.as_f64() == Some(1.0),
            Self::All(text) => all(value, |value| value.as_str() == Some(text)),
            Self::AllOn => all(value, |value| {
                value.as_f64() == Some(1.0) || *value == Value::Bool(true)
            }),
            Self::OneOf(texts) => value.as_str().is_some_and(|text| texts.contains(&text)),
            Self::Window => is_off(value) || is_wide(value, config),
            Self::Never => false,
        }
    }
}

/// Whether a value switches something off: what Python holds for false.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
    }
}

fn all(value: &Value, wanted: impl Fn(&Value) -> bool) -> bool {
    value
        .as_array()
        .is_some_and(|values| values.iter().all(wanted))
}

/// Whether a window of so many tokens is switched off, or holds the longest sequence.
fn is_wide(tokens: &Value, config: &Map<String, Value>) -> bool {
    let positions = ["max_position_embeddings", "n_positions"]
        .iter()
        .find_map(|&name| config.get(name)?.as_u64());
    config.get("use_sliding_window") == Some(&Value::Bool(false))
        || tokens
            .as_u64()
            .zip(positions)
            .is_some_and(|(tokens, positions)| tokens >= positions)
}

/// A value as JSON, cut where it is long.
fn shortened(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(config: Value) -> Result<(), Refusal> {
        let Value::Object(config) = config else {
            unreachable!("tests give objects")
        };
        check_decoder(&config)
    }

    #[test]
    fn keys_that_change_numbers_are_refused_by_name() {
        for config in [
            json!({"is_causal": false}),
            json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}),
            json!({"per_layer_config": {"0": {"num_attention_heads": 2}}}),
            json!({"sliding_window": 128, "max_position_embeddings": 256}),
            json!({"layer_types": ["full_attention", "sliding_attention"]}),
            json!({"no_rope_layers": [1, 0]}),
            json!({"logit_scale": 0.0625}),
            json!({"attention_multiplier": 0.01}),
            json!({"final_logit_softcapping": 30.0}),
            json!({"embedding_multiplier": 12}),
            json!({"rotary_pct": 0.25}),
            json!({"num_local_experts": 8}),
        ] {
            let mut keys = config.as_object().unwrap().keys();
            let key = keys.next_back().unwrap().clone();
            let Err(Refusal::Unsupported(detail)) = checked(config) else {
                panic!("{key} is not refused")
            };
            assert!(detail.contains(&key), "{detail}");
        }
    }

    #[test]
    fn neutral_values_and_other_keys_are_not_refused() {
        let config = json!({
            "_name_or_path": "x", "transformers_version": "4.40.1", "unsloth_version": "2024.9", "use_cache": true,
            "task_specific_params": {"text-generation": {"do_sample": true}}, "pretraining_tp": 2, "is_causal": true,
            "sliding_window": null, "quantization_config": null, "layer_types": ["full_attention"], "logit_scale": 1,
            "no_rope_layers": [1, 1], "initializer_range": 0.02, "attention_dropout": 0.1, "embedding_multiplier": 1.0,
            "is_llama_config": true, "rope_interleaved": false, "transformers.js_config": {"dtype": "q4"},
            "max_position_embeddings": 4096, "attention_chunk_size": 8192,
        });
        assert!(checked(config).is_ok());
        let switched_off = json!({"sliding_window": 9, "use_sliding_window": false, "max_position_embeddings": 10});
        assert!(checked(switched_off).is_ok());
    }

    #[test]
    fn long_values_are_cut() {
        let Err(Refusal::Unsupported(detail)) =
            checked(json!({"quantization_config": {"é".repeat(200): 1}}))
        else {
            panic!("not refused")
        };
        assert!(detail.len() < 300, "{detail}");
    }
}
