//! The embeddings of the real sentence encoder against sentence-transformers.

use latentd_nn::{Device, PackedTokens, SentenceEncoder};
use serde_json::Value;

use crate::harness::{golden, real};

/// Largest difference in a value of an embedding, whose length is 1.
const TOLERANCE: f32 = 1e-4;

#[tokio::test(flavor = "multi_thread")]
async fn minilm_computes_what_sentence_transformers_computes() {
    let folder = real::encoder().await;
    let encoder = SentenceEncoder::load(folder, &Device::new(0).unwrap()).unwrap();
    let text = fs_err::read_to_string(golden("sentences/minilm.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut all = Vec::new();
    for case in &cases {
        let text = case["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(encoder.tokenize(text).unwrap(), ids, "{text}");
        all.push(ids);
    }
    let all = PackedTokens::new(all.iter().map(Vec::as_slice));
    let found = encoder.embed(&all).unwrap();
    let bytes = fs_err::read(golden("sentences/minilm.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let expected = tensors.tensor("embeddings").unwrap();
    let expected = expected.data().chunks_exact(4);
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let expected = f32::from_le_bytes(expected.try_into().unwrap());
        let case = &cases[at / encoder.info().d_model]["text"];
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "{case}: {found} where {expected} is expected"
        );
    }
}
