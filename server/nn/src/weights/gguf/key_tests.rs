//! Metadata that change the mathematics: used as llama.cpp uses them, or refused by name.

use std::slice;

use latentd_domain::{HasReason, Reason};

use crate::error::LoadError;
use crate::weights::{
    LlamaConfig, ModelConfig, ModelFiles,
    golden::{Entry, gguf_with, path},
};

type Metadata<'a> = &'a [(&'a str, Option<Entry<'a>>)];

fn open(metadata: Metadata<'_>) -> Result<LlamaConfig, LoadError> {
    let file = gguf_with("models/llama.gguf", metadata, &[]);
    match ModelFiles::open(file.path())?.config {
        ModelConfig::Llama(config) => Ok(config),
        ModelConfig::Gpt2(_) => unreachable!("the file holds a llama"),
    }
}

/// What the frequencies are divided by, against those of the file as it is.
fn divisor(metadata: Metadata<'_>) -> f32 {
    let plain = open(&[]).unwrap().rope.inverse_frequencies(8);
    let found = open(metadata).unwrap().rope.inverse_frequencies(8);
    let ratios: Vec<f32> = plain.iter().zip(&found).map(|(a, b)| a / b).collect();
    assert!(
        ratios.iter().all(|ratio| (ratio - ratios[0]).abs() < 1e-5),
        "{ratios:?}"
    );
    ratios[0]
}

fn refusal(metadata: Metadata<'_>) -> String {
    let error = open(metadata).unwrap_err();
    let expected = [Reason::UnsupportedModel, Reason::MalformedConfig];
    assert!(expected.contains(&error.reason()), "{error}");
    error.to_string()
}

#[test]
fn a_scaling_factor_without_a_type_is_linear() {
    let factor = ("llama.rope.scaling.factor", Some(Entry::F32(4.0)));
    let old = ("llama.rope.scale_linear", Some(Entry::F32(4.0)));
    let kind = |kind| ("llama.rope.scaling.type", Some(Entry::Text(kind)));
    let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-4, "{found}");
    near(divisor(slice::from_ref(&factor)), 4.0);
    near(divisor(slice::from_ref(&old)), 4.0);
    near(divisor(&[kind("linear"), old.clone()]), 4.0);
    near(divisor(&[kind("none"), factor]), 1.0);
    // The newer name goes first, and 0 stands for no scaling.
    let two = ("llama.rope.scaling.factor", Some(Entry::F32(2.0)));
    near(divisor(&[two, old.clone()]), 2.0);
    let zero = ("llama.rope.scaling.factor", Some(Entry::F32(0.0)));
    near(divisor(&[zero, old]), 1.0);
    assert!(
        refusal(&[("llama.rope.scale_linear", Some(Entry::F32(-1.0)))]).contains("scale_linear")
    );
}

#[test]
fn keys_of_the_rope_that_are_not_computed_are_refused_by_name() {
    for (key, entry) in [
        ("rope.scaling.type", Entry::Text("yarn")),
        ("rope.scaling.type", Entry::Text("longrope")),
        ("rope.scaling.type", Entry::U32(1)),
        ("rope.scaling.attn_factor", Entry::F32(1.5)),
        ("rope.scaling.alpha", Entry::F32(1000.0)),
        ("rope.scaling.yarn_ext_factor", Entry::F32(1.0)),
        ("rope.scaling.yarn_log_multiplier", Entry::F32(0.1)),
        ("rope.scaling.yarn_beta_fast", Entry::F32(32.0)),
        ("rope.dimension_count", Entry::U32(4)),
        ("rope.dimension_sections", Entry::I32s(&[2, 2, 0, 0])),
        ("rope.freq_base", Entry::F32(0.0)),
        ("rope.freq_base", Entry::Text("10000")),
        ("rope.freq_base_swa", Entry::F32(1e6)),
    ] {
        let key = format!("llama.{key}");
        let refusal = refusal(&[(&key, Some(entry.clone()))]);
        let named = refusal.contains(&key) || matches!(entry, Entry::Text("yarn" | "longrope"));
        assert!(named, "{key}: {refusal}");
    }
    for (key, entry) in [
        ("rope.scaling.original_context_length", Entry::U32(32)),
        ("rope.scaling.finetuned", Entry::Bool(true)),
        ("rope.scaling.attn_factor", Entry::F32(1.0)),
        ("rope.freq_base_swa", Entry::F32(10_000.0)),
        ("rope.dimension_count", Entry::U32(8)),
    ] {
        let key = format!("llama.{key}");
        assert_eq!(
            open(&[(&key, Some(entry))]).unwrap(),
            open(&[]).unwrap(),
            "{key}"
        );
    }
}

#[test]
fn other_keys_of_the_architecture_are_neutral_or_refused_by_name() {
    for (key, entry) in [
        ("attention.causal", Entry::Bool(false)),
        ("attention.sliding_window", Entry::U32(16)),
        ("attention.clamp_kqv", Entry::F32(8.0)),
        ("attention.scale", Entry::F32(0.1)),
        ("attention.value_length", Entry::U32(4)),
        ("attention.anything_new", Entry::U32(0)),
        ("logit_scale", Entry::F32(0.5)),
        ("embedding_scale", Entry::F32(12.0)),
        ("final_logit_softcapping", Entry::F32(30.0)),
        ("expert_count", Entry::U32(8)),
    ] {
        let key = format!("llama.{key}");
        let refusal = refusal(&[(&key, Some(entry))]);
        assert!(refusal.contains(&key), "{key}: {refusal}");
    }
    for (key, entry) in [
        ("llama.attention.causal", Entry::Bool(true)),
        ("llama.attention.sliding_window", Entry::U32(64)),
        ("llama.attention.value_length", Entry::U32(8)),
        ("llama.logit_scale", Entry::F32(1.0)),
        ("llama.expert_count", Entry::U32(0)),
        (
            "llama.tensor_data_layout",
            Entry::Text("Meta AI original pth"),
        ),
        ("general.type", Entry::Text("model")),
        ("general.tags", Entry::Texts(&["sae"])),
        ("quantize.imatrix.file", Entry::Text("x")),
    ] {
        assert_eq!(
            open(&[(key, Some(entry))]).unwrap(),
            open(&[]).unwrap(),
            "{key}"
        );
    }
    assert!(refusal(&[("general.type", Some(Entry::Text("adapter")))]).contains("adapter"));
}

#[test]
fn numbers_of_layers_may_be_arrays_whose_numbers_agree() {
    for (key, same, other) in [
        ("llama.attention.head_count", [4, 4], [4, 2]),
        ("llama.attention.head_count_kv", [2, 2], [2, 4]),
        ("llama.feed_forward_length", [64, 64], [64, 32]),
    ] {
        assert_eq!(
            open(&[(key, Some(Entry::U32s(&same)))]).unwrap(),
            open(&[]).unwrap()
        );
        let differing = refusal(&[(key, Some(Entry::U32s(&other)))]);
        assert!(
            differing.contains(key) && differing.contains("layer to layer"),
            "{differing}"
        );
        let too_few = refusal(&[(key, Some(Entry::U32s(&same[..1])))]);
        assert!(
            too_few.contains(key) && too_few.contains("array of 1"),
            "{too_few}"
        );
        let words = refusal(&[(key, Some(Entry::Texts(&["4", "4"])))]);
        assert!(words.contains(key), "{words}");
    }
    let array = refusal(&[("llama.embedding_length", Some(Entry::U32s(&[32, 32])))]);
    assert!(
        array.contains("`llama.embedding_length` is an array of 2"),
        "{array}"
    );
}

#[test]
fn what_llama_cpp_needs_is_needed() {
    for key in [
        "llama.block_count",
        "llama.context_length",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
    ] {
        let refusal = refusal(&[(key, None)]);
        assert!(
            refusal.contains(&format!("`{key}` is missing")),
            "{refusal}"
        );
    }
}

#[test]
fn a_tensor_that_the_family_has_no_use_for_is_refused() {
    let file = gguf_with(
        "models/llama.gguf",
        &[],
        &[("blk.1.attn_norm.weight", "blk.1.attn_q_norm.weight")],
    );
    let error = ModelFiles::open(file.path()).unwrap_err();
    assert_eq!(error.reason(), Reason::UnsupportedModel);
    assert!(
        error.to_string().contains("blk.1.attn_q_norm.weight"),
        "{error}"
    );
    assert!(ModelFiles::open(&path("models/llama.gguf")).is_ok());
}
