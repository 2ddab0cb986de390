//! Keys of an architecture's metadata: which are read, which change nothing, and which change nothing with some of their
//! values. Every other key under the architecture's name describes a model that this crate does not compute, and is
//! refused by its name.

use super::metadata::{Metadata, Value};
use crate::weights::config::Refusal;

/// The values of a key that change nothing.
#[derive(Clone, Copy)]
enum Neutral {
    /// All: it is read elsewhere, or says nothing about the mathematics.
    Any,
    /// `false`, 0, or nothing.
    Off,
    /// `true`.
    On,
    /// The number 1, and 0, which llama.cpp takes for absent.
    One,
    /// No window, or one that holds the longest sequence.
    Window,
    /// The value of this other key.
    SameAs(&'static str),
}

/// Keys of both families.
const COMMON: &[(&str, Neutral)] = &[
    ("context_length", Neutral::Any),
    ("embedding_length", Neutral::Any),
    ("block_count", Neutral::Any),
    ("feed_forward_length", Neutral::Any),
    ("vocab_size", Neutral::Any),
    ("attention.head_count", Neutral::Any),
    ("attention.head_count_kv", Neutral::Any),
    ("attention.key_length", Neutral::Any),
    ("attention.value_length", Neutral::Any),
    ("attention.layer_norm_epsilon", Neutral::Any),
    ("attention.layer_norm_rms_epsilon", Neutral::Any),
    // Where the rows of queries and keys came from; they lie the same either way.
    ("tensor_data_layout", Neutral::Any),
    // For vectors of whole texts.
    ("pooling_type", Neutral::Any),
    ("expert_count", Neutral::Off),
    ("expert_used_count", Neutral::Off),
    ("leading_dense_block_count", Neutral::Off),
    ("nextn_predict_layers", Neutral::Off),
    ("use_parallel_residual", Neutral::Off),
    ("attn_logit_softcapping", Neutral::Off),
    ("final_logit_softcapping", Neutral::Off),
    ("attention.max_alibi_bias", Neutral::Off),
    ("attention.clamp_kqv", Neutral::Off),
    ("attention.scale", Neutral::Off),
    ("attention.causal", Neutral::On),
    ("attention.sliding_window", Neutral::Window),
    ("logit_scale", Neutral::One),
    ("embedding_scale", Neutral::One),
    ("residual_scale", Neutral::One),
];

/// Keys of the rope, which gpt2 does not have.
const ROPE: &[(&str, Neutral)] = &[
    ("rope.dimension_count", Neutral::Any),
    ("rope.freq_base", Neutral::Any),
    ("rope.scale_linear", Neutral::Any),
    ("rope.scaling.type", Neutral::Any),
    ("rope.scaling.factor", Neutral::Any),
    // For yarn alone, which is refused.
    ("rope.scaling.original_context_length", Neutral::Any),
    ("rope.scaling.finetuned", Neutral::Any),
    ("rope.scaling.attn_factor", Neutral::One),
    ("rope.scaling.alpha", Neutral::One),
    // For layers with a sliding window, of which there are none.
    ("rope.freq_base_swa", Neutral::SameAs("rope.freq_base")),
    (
        "rope.dimension_count_swa",
        Neutral::SameAs("rope.dimension_count"),
    ),
];

/// Refuses what changes a model of `family` and is not read.
pub(super) fn check(metadata: &Metadata, family: &str) -> Result<(), Refusal> {
    let prefix = format!("{family}.");
    let tables: &[&[(&str, Neutral)]] = if family == "llama" {
        &[COMMON, ROPE]
    } else {
        &[COMMON]
    };
    for (name, value) in metadata.under(&prefix) {
        let known = tables
            .iter()
            .copied()
            .flatten()
            .find(|(key, _)| *key == name);
        if !known.is_some_and(|(_, neutral)| neutral.is(value, metadata, &prefix)) {
            return Err(Refusal::Unsupported(format!(
                "the metadata `{prefix}{name}`, {value}, may change what the model computes and is not supported"
            )));
        }
    }
    Ok(())
}

impl Neutral {
    fn is(self, value: &Value, metadata: &Metadata, prefix: &str) -> bool {
        let number = |name: &str| metadata.float(&format!("{prefix}{name}")).ok().flatten();
        match self {
            Self::Any => true,
            Self::Off => value.is_off(),
            Self::On => *value == Value::Bool(true),
            Self::One => value.is_off() || value.float() == Some(1.0),
            Self::Window => {
                let wide = |(window, longest)| window >= longest;
                value.is_off()
                    || value
                        .float()
                        .zip(number("context_length"))
                        .is_some_and(wide)
            }
            Self::SameAs(name) => value.float().is_some() && value.float() == number(name),
        }
    }
}
