//! The residual stream and the logits of the real model, dequantized from GGUF, against transformers.

use latentd_domain::Dtype;
use latentd_nn::{Device, Model, PackedTokens, Taps};
use serde_json::Value;

use super::TOLERANCE;
use crate::harness::{golden, real};

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().map(f32::abs).fold(0.0, f32::max)
}

#[tokio::test(flavor = "multi_thread")]
async fn smollm2_computes_what_transformers_computes() {
    let path = real::model().await;
    let device = Device::new(0).unwrap();
    let model = Model::load(path, Dtype::F32, &device).unwrap();
    let text = fs_err::read_to_string(golden("models/smollm2-135m.json")).unwrap();
    let prompts: Value = serde_json::from_str(&text).unwrap();
    let bytes = fs_err::read(golden("models/smollm2-135m.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let point = "blocks.9.hook_resid_post".parse().unwrap();
    for (index, prompt) in prompts.as_array().unwrap().iter().enumerate() {
        let ids: Vec<u32> = serde_json::from_value(prompt["ids"].clone()).unwrap();
        assert_eq!(
            model
                .tokenizer()
                .encode(prompt["text"].as_str().unwrap(), true)
                .unwrap()
                .ids,
            ids
        );
        let tokens = PackedTokens::new([ids.as_slice()]);
        let captured = model.run(&tokens, &Taps::new([point])).unwrap();
        let found = device.to_host(captured.get(point).unwrap().clone());
        let expected = tensors.tensor(&format!("{index}.{point}")).unwrap();
        let expected: Vec<f32> = expected
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        // The first token's residual is an outlier, hundreds of times larger: the others are compared on their own scale.
        let width = model.info().d_model;
        let (scale, first) = (largest(&expected[width..]), largest(&expected[..width]));
        for (at, (a, b)) in expected.iter().zip(&found).enumerate() {
            let scale = if at < width { first } else { scale };
            assert!(
                (a - b).abs() <= TOLERANCE * scale,
                "prompt {index}, value {at}: {a} and {b}"
            );
        }
        let logits = device.to_host(model.logits(&tokens).unwrap());
        let last = &logits[logits.len() - model.info().vocab..];
        for known in prompt["logits_after_last"].as_array().unwrap() {
            let (id, logit) = (
                known["id"].as_u64().unwrap() as usize,
                known["logit"].as_f64().unwrap() as f32,
            );
            assert!(
                (last[id] - logit).abs() <= TOLERANCE * largest(last),
                "token {id}: {} and {logit}",
                last[id]
            );
        }
    }
}
