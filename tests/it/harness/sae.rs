//! Small SAEs for the small models, written as SAELens writes them.

use std::{collections::HashMap, path::Path};

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

/// Width of the residual stream of the small models in `tests/golden/models`.
pub(crate) const D_IN: usize = 32;
/// Latents of a small SAE.
pub(crate) const D_SAE: usize = 96;

/// Numbers between −1 and 1, the same on every machine.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// The configuration of a topk SAE on the last residual of a small model, as SAELens 6 writes it.
pub(crate) fn config() -> Value {
    json!({
        "architecture": "topk", "k": 6, "d_in": D_IN, "d_sae": D_SAE, "dtype": "float32",
        "apply_b_dec_to_input": true, "normalize_activations": "none", "reshape_activations": "none",
        "rescale_acts_by_decoder_norm": true,
        "metadata": { "hook_name": "blocks.1.hook_resid_post", "model_name": "small", "prepend_bos": true, "context_size": 32 }
    })
}

/// Writes an SAE with this configuration and random weights; equal seeds give equal weights.
pub(crate) fn write(folder: &Path, config: &Value, seed: u64) {
    fs_err::create_dir_all(folder).unwrap();
    fs_err::write(folder.join("cfg.json"), config.to_string()).unwrap();
    let shapes = [
        ("W_enc", vec![D_IN, D_SAE]),
        ("b_enc", vec![D_SAE]),
        ("W_dec", vec![D_SAE, D_IN]),
        ("b_dec", vec![D_IN]),
    ];
    let data: HashMap<&str, Vec<u8>> = shapes
        .iter()
        .enumerate()
        .map(|(index, (name, shape))| {
            let values = numbers(seed + index as u64, shape.iter().product());
            (
                *name,
                values
                    .iter()
                    .flat_map(|value| (value * 0.3).to_le_bytes())
                    .collect(),
            )
        })
        .collect();
    let views = shapes.iter().map(|(name, shape)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.clone(), &data[name]).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, &folder.join("sae_weights.safetensors")).unwrap();
}
