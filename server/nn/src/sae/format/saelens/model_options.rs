//! Options with which the model was loaded that an SAE was trained on (`model_from_pretrained_kwargs`). TransformerLens
//! rewrites weights for some of them: its logits stay the same, and the values at some hook points do not.
//!
//! Source: TransformerLens 3 (`HookedTransformer.from_pretrained`, `weight_processing.py`).

use latentd_domain::{HookPoint, Site};
use serde_json::{Map, Value};

/// The residual stream, what writes to it, and the embeddings.
const STREAM: &[Site] = &[
    Site::Embed,
    Site::ResidPre,
    Site::AttnOut,
    Site::ResidMid,
    Site::MlpOut,
    Site::ResidPost,
];
const HEADS: &[Site] = &[Site::AttnZ];
const NOWHERE: &[Site] = &[];

/// Each option, and the sites whose values it changes. An option that is not here is refused.
const OPTIONS: &[(&str, &[Site])] = &[
    // Each vector that is written to the stream loses its mean, which the norms take out anyway.
    ("center_writing_weights", STREAM),
    // The heads' values lose their bias, which the output's bias takes over.
    ("fold_value_biases", HEADS),
    // The values and the output projection become other factors of the same product.
    ("refactor_factored_attn_matrices", HEADS),
    // The norms' weights move into the matrices that read the norms.
    ("fold_ln", NOWHERE),
    // The unembedding loses its mean.
    ("center_unembed", NOWHERE),
    // Where a model is put, how it is fetched, and how a text would become tokens.
    ("device", NOWHERE),
    ("n_devices", NOWHERE),
    ("move_to_device", NOWHERE),
    ("dtype", NOWHERE),
    ("torch_dtype", NOWHERE),
    ("trust_remote_code", NOWHERE),
    ("cache_dir", NOWHERE),
    ("local_files_only", NOWHERE),
    ("low_cpu_mem_usage", NOWHERE),
    ("attn_implementation", NOWHERE),
    ("default_prepend_bos", NOWHERE),
    ("default_padding_side", NOWHERE),
    // A model without its last layers; a hook point in them would not have been there.
    ("first_n_layers", NOWHERE),
];

/// Refuses an SAE at `hook_point` whose model had other values there.
pub(super) fn check(options: &Map<String, Value>, hook_point: HookPoint) -> Result<(), String> {
    let changed = options.iter().find(|(name, value)| {
        let known = OPTIONS.iter().find(|(known, _)| known == name);
        is_set(value) && known.is_none_or(|(_, sites)| sites.contains(&hook_point.site))
    });
    match changed {
        None => Ok(()),
        Some((name, value)) => Err(format!(
            "the SAE was trained on a model with changed weights (`model_from_pretrained_kwargs`: {name} = {value}), \
             which is not supported at {hook_point}: its activations would be wrong on the model as it is"
        )),
    }
}

/// Whether an option asks for anything.
fn is_set(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(options: Value, hook_point: &str) -> Option<String> {
        let Value::Object(options) = options else {
            unreachable!("tests give objects")
        };
        check(&options, hook_point.parse().unwrap()).err()
    }

    /// What TransformerLens changes at which hook point, found by running it; made by `tests/reference/model_options.py`.
    #[test]
    fn each_option_is_refused_where_it_changes_values() {
        let path = crate::weights::golden::path("model_options.json");
        let changes: Map<String, Value> =
            serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
        let mut compared = 0;
        for (option, at) in &changes {
            for (hook_point, changes) in at.as_object().unwrap() {
                let refused = refusal(json!({option: true}), hook_point).is_some();
                assert_eq!(Some(refused), changes.as_bool(), "{option} at {hook_point}");
                assert!(refusal(json!({option: false}), hook_point).is_none());
                compared += 1;
            }
        }
        assert_eq!(compared, 5 * Site::ALL.len());
    }

    #[test]
    fn an_option_that_is_not_known_is_refused_everywhere() {
        for site in ["blocks.0.hook_resid_pre", "blocks.0.attn.hook_z"] {
            let refusal = refusal(json!({"fold_ln": true, "load_in_4bit": true}), site).unwrap();
            assert!(refusal.contains("load_in_4bit"), "{refusal}");
        }
        assert!(refusal(json!({"revision": null, "fold_ln": true}), "hook_embed").is_none());
    }
}
