//! GGUF's tensor names in Hugging Face's words, as data: one table per family, and what the writer did to the tensor.
//!
//! The tables are those of llama.cpp's `gguf-py/gguf/tensor_mapping.py`, the rearrangements those of its
//! `convert_hf_to_gguf.py` (<https://github.com/ggml-org/llama.cpp>).

use crate::weights::{Layout, ModelConfig};

/// What was done to a tensor when the file was written, to be undone.
#[derive(Clone, Copy)]
enum Undo {
    Nothing,
    /// `Conv1D` matrices of GPT-2 were transposed.
    Transpose,
    /// Rows of query heads were interleaved for llama.cpp's rope.
    QueryPairs,
    /// The same for key heads.
    KeyPairs,
}

/// A GGUF name, the Hugging Face name, what to undo.
type Row = (&'static str, &'static str, Undo);

/// Names that stand by themselves.
const LLAMA: [Row; 3] = [
    ("token_embd", "model.embed_tokens", Undo::Nothing),
    ("output_norm", "model.norm", Undo::Nothing),
    ("output", "lm_head", Undo::Nothing),
];

/// Names after `blk.N.`, and after `model.layers.N.`.
const LLAMA_BLOCK: [Row; 9] = [
    ("attn_norm", "input_layernorm", Undo::Nothing),
    ("attn_q", "self_attn.q_proj", Undo::QueryPairs),
    ("attn_k", "self_attn.k_proj", Undo::KeyPairs),
    ("attn_v", "self_attn.v_proj", Undo::Nothing),
    ("attn_output", "self_attn.o_proj", Undo::Nothing),
    ("ffn_norm", "post_attention_layernorm", Undo::Nothing),
    ("ffn_gate", "mlp.gate_proj", Undo::Nothing),
    ("ffn_up", "mlp.up_proj", Undo::Nothing),
    ("ffn_down", "mlp.down_proj", Undo::Nothing),
];

const GPT2: [Row; 4] = [
    ("token_embd", "transformer.wte", Undo::Nothing),
    ("position_embd", "transformer.wpe", Undo::Nothing),
    ("output_norm", "transformer.ln_f", Undo::Nothing),
    ("output", "lm_head", Undo::Nothing),
];

/// Names after `blk.N.`, and after `transformer.h.N.`.
const GPT2_BLOCK: [Row; 6] = [
    ("attn_norm", "ln_1", Undo::Nothing),
    ("attn_qkv", "attn.c_attn", Undo::Transpose),
    ("attn_output", "attn.c_proj", Undo::Transpose),
    ("ffn_norm", "ln_2", Undo::Nothing),
    ("ffn_up", "mlp.c_fc", Undo::Transpose),
    ("ffn_down", "mlp.c_proj", Undo::Transpose),
];

/// The Hugging Face name of a tensor, and how its elements are arranged; `None` for a name that is not in the tables.
pub(super) fn translate(config: &ModelConfig, name: &str) -> Option<(String, Layout)> {
    let (singles, block, blocks): (&[Row], &[Row], _) = match config {
        ModelConfig::Llama(_) => (&LLAMA, &LLAMA_BLOCK, "model.layers"),
        ModelConfig::Gpt2(_) => (&GPT2, &GPT2_BLOCK, "transformer.h"),
    };
    let (stem, kind) = name.rsplit_once('.')?;
    let (prefix, stem, rows) = match stem
        .strip_prefix("blk.")
        .and_then(|rest| rest.split_once('.'))
    {
        Some((layer, stem)) => (format!("{blocks}.{layer}."), stem, block),
        None => (String::new(), stem, singles),
    };
    let (_, found, undo) = rows.iter().find(|(gguf, ..)| *gguf == stem)?;
    let layout = match (undo, config) {
        (Undo::Transpose, _) if kind == "weight" => Layout::Transposed,
        (Undo::QueryPairs, ModelConfig::Llama(llama)) => Layout::RopePairs {
            heads: llama.n_heads,
        },
        (Undo::KeyPairs, ModelConfig::Llama(llama)) => Layout::RopePairs {
            heads: llama.n_kv_heads,
        },
        _ => Layout::AsStored,
    };
    Some((format!("{prefix}{found}.{kind}"), layout))
}
