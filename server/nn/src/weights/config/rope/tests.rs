//! Frequencies and keys against what transformers makes of the same configurations.

use serde::Deserialize;

use super::{RopeConfig, RopeScaling};
use crate::weights::{LlamaConfig, golden::path};

/// Bits of `LlamaRotaryEmbedding(config).inv_freq` in transformers 5.23: base 100 000, width 64.
const PLAIN: [u32; 32] = [
    0x3f800000, 0x3f32a506, 0x3ef953cf, 0x3eadfcff, 0x3e72d423, 0x3e297409, 0x3dec7fd6, 0x3da50956,
    0x3d6655c2, 0x3d20bc1d, 0x3ce054d2, 0x3c9c8b97, 0x3c5a7bf2, 0x3c187705, 0x3bd4ca15, 0x3b947dae,
    0x3b4f3e38, 0x3b109edb, 0x3ac9d75c, 0x3a8cd9db, 0x3a44948c, 0x3a092e02, 0x39bf74d7, 0x39859aa9,
    0x393a7753, 0x39021f2b, 0x38b59b1b, 0x387d75d4, 0x3830df52, 0x37f6da96, 0x37ac431d, 0x37706b6d,
];
/// The same of Llama 3.2's configuration: base 500 000, width 64, `llama3` with factor 32.
const LLAMA3: [u32; 32] = [
    0x3f800000, 0x3f29e1c6, 0x3ee177bc, 0x3e959ee3, 0x3e4693b0, 0x3e03c6a0, 0x3daee4ad, 0x3d681e67,
    0x3d1a08c8, 0x3ccc6f49, 0x3c87a9c3, 0x3c340d6d, 0x3beef74f, 0x3b9e9402, 0x3b527720, 0x3aa9279b,
    0x39e13620, 0x38cb98f7, 0x37a3418d, 0x3758ac81, 0x370fc8f8, 0x36bed4f4, 0x367d45c3, 0x3628126b,
    0x35df10c4, 0x359406cb, 0x35447610, 0x35025f34, 0x34ad07a7, 0x3465a54d, 0x341864a7, 0x33ca41b0,
];

/// Largest difference in units in the last place.
fn distance(found: &[f32], expected: [u32; 32]) -> u32 {
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .map(|(found, expected)| found.to_bits().abs_diff(expected))
        .max()
        .unwrap()
}

#[test]
fn frequencies_are_those_of_transformers() {
    let plain = RopeConfig {
        theta: 100_000.0,
        scaling: RopeScaling::None,
    };
    assert!(distance(&plain.inverse_frequencies(64), PLAIN) <= 1);
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_context_length: 8192,
    };
    let llama3 = RopeConfig {
        theta: 500_000.0,
        scaling,
    };
    assert!(distance(&llama3.inverse_frequencies(64), LLAMA3) <= 2);
}

#[test]
fn factors_divide() {
    let factors = RopeConfig {
        theta: 100.0,
        scaling: RopeScaling::Factors(vec![1.0, 4.0]),
    };
    assert_eq!(factors.inverse_frequencies(4), [1.0, 0.1 / 4.0]);
    let linear = RopeConfig {
        theta: 100.0,
        scaling: RopeScaling::Linear { factor: 2.0 },
    };
    assert_eq!(linear.inverse_frequencies(4), [0.5, 0.05]);
}

/// A configuration, and what transformers makes of it; made by `tests/reference/rope.py`.
#[derive(Deserialize)]
struct Case {
    name: String,
    config: serde_json::Value,
    frequencies: Option<Vec<f32>>,
    attention_factor: Option<f32>,
    refused: Option<String>,
}

/// What transformers computes and this crate refuses.
const REFUSED_HERE: [&str; 5] = [
    "a part of each head beside",
    "a part of each head inside",
    "longrope",
    "proportional",
    "parameters for kinds of layers",
];

#[test]
fn keys_are_resolved_as_transformers_does() {
    let cases: Vec<Case> =
        serde_json::from_slice(&fs_err::read(path("rope.json")).unwrap()).unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let name = &case.name;
        let found = LlamaConfig::from_json(case.config.to_string().as_bytes());
        if case.refused.is_some() || REFUSED_HERE.contains(&name.as_str()) {
            assert!(found.is_err(), "{name} is accepted");
            continue;
        }
        let rope = found
            .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"))
            .rope;
        let expected = case.frequencies.unwrap();
        let found = rope.inverse_frequencies(32);
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= 3e-7 * expected,
                "{name}: {found} for {expected}"
            );
        }
        let factor = case.attention_factor.unwrap();
        assert!(
            (rope.attention_factor() - factor).abs() <= 1e-7 * factor,
            "{name}"
        );
    }
}

#[test]
fn what_cannot_be_read_says_which_key() {
    let refusal = |more: &str| {
        let json = format!(
            r#"{{"vocab_size":9,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1,{more}}}"#
        );
        format!("{:?}", LlamaConfig::from_json(json.as_bytes()).unwrap_err())
    };
    for (more, key) in [
        (r#""rope_scaling":{"type":"yarn"}"#, "factor"),
        (r#""rope_scaling":{"type":"ntk","factor":2}"#, "ntk"),
        (r#""rope_scaling":{"type":"linear","factor":-2}"#, "factor"),
        (r#""rope_scaling":{"rope_type":null}"#, "rope type"),
        (r#""rope_scaling":[1]"#, "rope_scaling"),
        (r#""rope_theta":null"#, "rope_theta"),
        (
            r#""rope_parameters":{"full_attention":{}}"#,
            "full_attention",
        ),
        (r#""partial_rotary_factor":0.5"#, "partial_rotary_factor"),
        (
            r#""rope_scaling":{"type":"yarn","factor":2,"original_max_position_embeddings":0}"#,
            "original_max_position_embeddings",
        ),
    ] {
        let refusal = refusal(more);
        assert!(refusal.contains(key), "{more}: {refusal}");
    }
}
