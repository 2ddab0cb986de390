//! `cfg.json` as SAELens before 6.0 wrote it, flat, brought to the form of 6.0.
//!
//! Source: SAELens 6, `loading/pretrained_sae_loaders.py`, `handle_config_defaulting` and `handle_pre_6_0_config`. One
//! difference: an activation function `topk` without a `k` becomes a ReLU there, and is an error here.

use serde_json::{Map, Value};

const RENAMES: [(&str, &str); 3] = [
    ("hook_point", "hook_name"),
    ("hook_point_head_index", "hook_head_index"),
    ("activation_fn_str", "activation_fn"),
];

const METADATA: [&str; 10] = [
    "model_name",
    "hook_name",
    "hook_head_index",
    "model_from_pretrained_kwargs",
    "prepend_bos",
    "context_size",
    "neuronpedia_id",
    "norm_scaling_factor",
    "sae_lens_version",
    "l0",
];

/// Whether the configuration was written before 6.0: it names an older version or none.
pub(super) fn is_pre6(fields: &Map<String, Value>) -> bool {
    let version = |fields: &Map<String, Value>| {
        fields
            .get("sae_lens_version")
            .and_then(Value::as_str)
            .filter(|version| !version.is_empty())
            .map(str::to_owned)
    };
    let version = version(fields).or_else(|| {
        fields
            .get("metadata")
            .and_then(Value::as_object)
            .and_then(version)
    });
    let major = version.and_then(|version| {
        version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok())
    });
    major.is_none_or(|major| major < 6)
}

/// The same configuration in the form of 6.0.
pub(super) fn upgrade(fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut fields: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (renamed(name), value))
        .collect();
    fill_layer(&mut fields);
    fields
        .entry("architecture")
        .or_insert_with(|| "standard".into());
    let is_hook_z = fields
        .get("hook_name")
        .and_then(Value::as_str)
        .is_some_and(|name| name.contains("hook_z"));
    fields.entry("reshape_activations").or_insert_with(|| {
        if is_hook_z {
            "hook_z".into()
        } else {
            "none".into()
        }
    });
    if fields.get("activation_fn").and_then(Value::as_str) == Some("topk") {
        fields.insert("architecture".to_owned(), "topk".into());
    }
    if fields.get("architecture").and_then(Value::as_str) == Some("topk") {
        let k = fields
            .get("activation_fn_kwargs")
            .and_then(|arguments| arguments.get("k"))
            .cloned();
        if let Some(k) = k {
            fields.insert("k".to_owned(), k);
        }
        if !fields.contains_key("k") {
            return Err(
                "`activation_fn_kwargs.k` is missing, without which a topk SAE is not defined"
                    .to_owned(),
            );
        }
    }
    let by_flag = fields.get("normalize_activations").and_then(Value::as_bool);
    if let Some(normalise) = by_flag {
        let name = if normalise {
            "expected_average_only_in"
        } else {
            "none"
        };
        fields.insert("normalize_activations".to_owned(), name.into());
    }
    if !fields.contains_key("metadata") {
        let metadata = METADATA
            .iter()
            .filter_map(|&name| Some((name.to_owned(), fields.get(name)?.clone())))
            .collect();
        fields.insert("metadata".to_owned(), Value::Object(metadata));
    }
    Ok(fields)
}

fn renamed(name: String) -> String {
    RENAMES
        .iter()
        .find(|(old, _)| *old == name)
        .map_or(name, |(_, new)| (*new).to_owned())
}

/// The oldest files write the layer apart: `blocks.{layer}.hook_resid_pre` and `hook_point_layer`.
fn fill_layer(fields: &mut Map<String, Value>) {
    let layer = ["hook_layer", "hook_point_layer"]
        .iter()
        .find_map(|&name| fields.get(name)?.as_u64());
    if let (Some(layer), Some(Value::String(name))) = (layer, fields.get_mut("hook_name")) {
        *name = name.replace("{layer}", &layer.to_string());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn upgraded(value: Value) -> Result<Map<String, Value>, String> {
        let Value::Object(fields) = value else {
            unreachable!("tests give objects")
        };
        assert!(is_pre6(&fields));
        upgrade(fields)
    }

    #[test]
    fn versions_are_told_apart() {
        let old = |value: Value| is_pre6(value.as_object().unwrap());
        assert!(old(json!({})));
        assert!(old(json!({"sae_lens_version": "5.10.2"})));
        assert!(old(json!({"sae_lens_version": null, "metadata": {}})));
        assert!(!old(
            json!({"metadata": {"sae_lens_version": "6.0.0-rc.1"}})
        ));
        assert!(!old(json!({"sae_lens_version": "10.0.0"})));
    }

    #[test]
    fn old_names_become_new_ones() {
        let fields = upgraded(json!({
            "hook_point": "blocks.{layer}.attn.hook_z", "hook_point_layer": 3, "hook_point_head_index": null,
            "activation_fn_str": "relu", "normalize_activations": true, "model_name": "gpt2-small",
        }))
        .unwrap();
        assert_eq!(fields["architecture"], "standard");
        assert_eq!(fields["reshape_activations"], "hook_z");
        assert_eq!(fields["normalize_activations"], "expected_average_only_in");
        assert_eq!(
            fields["metadata"],
            json!({"hook_name": "blocks.3.attn.hook_z", "model_name": "gpt2-small"})
        );
    }

    #[test]
    fn topk_hides_in_the_activation_function() {
        let fields =
            upgraded(json!({"activation_fn": "topk", "activation_fn_kwargs": {"k": 32}})).unwrap();
        assert_eq!(
            (&fields["architecture"], &fields["k"]),
            (&json!("topk"), &json!(32))
        );
        assert!(
            upgraded(json!({"activation_fn": "topk"}))
                .unwrap_err()
                .contains("kwargs.k")
        );
    }
}
