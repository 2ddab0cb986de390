//! Encode against SAELens on transformers' residuals: equal latents, activations within tolerance.

use std::collections::BTreeMap;

use latentd_client::{EncodeRequest, LatentStatsRequest};
use serde_json::Value;

use super::TOLERANCE;
use crate::harness::{golden, real};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_sae_fires_as_in_saelens() {
    let server = real::server().await;
    let text = fs_err::read_to_string(golden("demo/encoded.json")).unwrap();
    let prompts: Value = serde_json::from_str(&text).unwrap();
    for prompt in prompts.as_array().unwrap() {
        let request =
            EncodeRequest::new([prompt["text"].as_str().unwrap()], real::SAE).prepend_bos(true);
        let encoded = server.client.encode(request).await.unwrap();
        let ids: Vec<u64> = encoded.prompts[0]
            .ids
            .iter()
            .map(|&id| u64::from(id))
            .collect();
        let expected_ids: Vec<u64> = prompt["ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().unwrap())
            .collect();
        assert_eq!(
            ids, expected_ids,
            "the tokenizer of the GGUF file is transformers'"
        );
        for (index, row) in prompt["rows"].as_array().unwrap().iter().enumerate() {
            let expected: BTreeMap<u32, f32> =
                serde_json::from_value::<Vec<(u32, f32)>>(row.clone())
                    .unwrap()
                    .into_iter()
                    .collect();
            let found: BTreeMap<u32, f32> = encoded.first().rows.row(index + 1).collect();
            compare(&expected, &found);
        }
    }
}

/// Equal sets but for ties at the smallest activation, and values within tolerance of the row's largest.
fn compare(expected: &BTreeMap<u32, f32>, found: &BTreeMap<u32, f32>) {
    let largest = expected.values().copied().fold(0.0, f32::max);
    let smallest = expected.values().copied().fold(f32::INFINITY, f32::min);
    for latent in expected.keys().chain(found.keys()) {
        match (expected.get(latent), found.get(latent)) {
            (Some(a), Some(b)) => assert!(
                (a - b).abs() <= TOLERANCE * largest,
                "latent {latent}: {a} and {b}"
            ),
            (one, other) => {
                let activation = one.or(other).copied().unwrap();
                assert!(
                    activation - smallest <= TOLERANCE * largest,
                    "latent {latent} fires on one side only: {activation}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_self_test_measures_what_the_sae_was_trained_to() {
    let server = real::server().await;
    let sae = server.client.sae(real::SAE).await.unwrap();
    let test = sae.self_test.unwrap();
    assert!((test.l0 - 32.0).abs() < 0.5, "{test:?}");
    assert!(
        test.fvu > 0.05 && test.fvu < 0.25,
        "0.137 on the Brown corpus: {test:?}"
    );
    assert!(test.warnings.is_empty(), "{:?}", test.warnings);
    let none = server
        .client
        .latent_stats(LatentStatsRequest::of_sae(real::SAE))
        .to_vec()
        .await;
    assert_eq!(none.unwrap_err().reason, "UNKNOWN_CACHE");
}
