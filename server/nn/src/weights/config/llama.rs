//! The llama family's configuration: transformers' `LlamaConfig`, or GGUF metadata under `llama.`.

use serde::Deserialize;

use super::{
    MAX_CONTEXT, MAX_HEADS, MAX_LAYERS, MAX_VOCAB, MAX_WIDTH, Refusal, count, divides, fields,
    from_json, keys, positive,
    rope::{self, RopeConfig},
};

/// Root-mean-square norms, rotary positions, grouped-query attention and a gated MLP with SiLU.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Number of token ids.
    pub vocab: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of the MLP's hidden layer.
    pub d_mlp: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Query heads of a block; a multiple of `n_kv_heads`.
    pub n_heads: usize,
    /// Key and value heads of a block.
    pub n_kv_heads: usize,
    /// Width of a head; even. `n_heads · d_head` need not be `d_model`.
    pub d_head: usize,
    /// Longest sequence, in tokens.
    pub context_length: usize,
    /// Added to the mean square before the root.
    pub rms_norm_eps: f32,
    /// How queries and keys are rotated.
    pub rope: RopeConfig,
    /// The unembedding is the embedding; no `lm_head.weight` is read.
    pub tie_embeddings: bool,
    /// The four projections of attention have biases.
    pub attention_bias: bool,
    /// The three projections of the MLP have biases.
    pub mlp_bias: bool,
}

/// The fields of `config.json` that matter, but for those of the rope. Absent fields have transformers' defaults.
#[derive(Deserialize)]
struct RawLlama {
    vocab_size: Option<u64>,
    hidden_size: Option<u64>,
    intermediate_size: Option<u64>,
    num_hidden_layers: Option<u64>,
    num_attention_heads: Option<u64>,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    max_position_embeddings: Option<u64>,
    rms_norm_eps: Option<f64>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    hidden_act: Option<String>,
}

/// Dimensions as a file states them, not yet checked.
pub(crate) struct LlamaDims {
    pub(crate) vocab: Option<u64>,
    pub(crate) d_model: Option<u64>,
    pub(crate) d_mlp: Option<u64>,
    pub(crate) n_layers: Option<u64>,
    pub(crate) n_heads: Option<u64>,
    pub(crate) n_kv_heads: Option<u64>,
    pub(crate) d_head: Option<u64>,
    pub(crate) context_length: Option<u64>,
    pub(crate) rms_norm_eps: f64,
}

impl LlamaConfig {
    pub(super) fn from_json(json: &[u8]) -> Result<Self, Refusal> {
        let all = from_json(json)?;
        keys::check_decoder(&all)?;
        let raw: RawLlama = fields(&all)?;
        if let Some(activation) = raw
            .hidden_act
            .filter(|name| name != "silu" && name != "swish")
        {
            return Err(Refusal::Unsupported(format!(
                "hidden_act `{activation}` is not supported; supported is: silu"
            )));
        }
        let config = Self::from_dims(&LlamaDims {
            vocab: raw.vocab_size,
            d_model: raw.hidden_size,
            d_mlp: raw.intermediate_size,
            n_layers: raw.num_hidden_layers,
            n_heads: raw.num_attention_heads,
            n_kv_heads: raw.num_key_value_heads,
            d_head: raw.head_dim,
            context_length: raw.max_position_embeddings,
            rms_norm_eps: raw.rms_norm_eps.unwrap_or(1e-6),
        })?;
        Ok(Self {
            rope: rope::read(&all, config.context_length)?,
            tie_embeddings: raw.tie_word_embeddings.unwrap_or(false),
            attention_bias: raw.attention_bias.unwrap_or(false),
            mlp_bias: raw.mlp_bias.unwrap_or(false),
            ..config
        })
    }

    /// A configuration of these dimensions, with everything else at its default.
    pub(crate) fn from_dims(dims: &LlamaDims) -> Result<Self, Refusal> {
        let d_model = count("hidden_size", dims.d_model, MAX_WIDTH)?;
        let n_heads = count("num_attention_heads", dims.n_heads, MAX_HEADS)?;
        let n_kv_heads = count(
            "num_key_value_heads",
            dims.n_kv_heads.or(dims.n_heads),
            MAX_HEADS,
        )?;
        divides(
            "num_attention_heads",
            n_heads,
            "num_key_value_heads",
            n_kv_heads,
        )?;
        let d_head = match dims.d_head {
            None => divides("hidden_size", d_model, "num_attention_heads", n_heads)?,
            declared => count("head_dim", declared, MAX_WIDTH)?,
        };
        divides("head_dim", d_head, "two halves of a rotation, ", 2)?;
        if n_heads
            .checked_mul(d_head)
            .is_none_or(|width| width as u64 > MAX_WIDTH)
        {
            return Err(Refusal::Malformed(format!(
                "{n_heads} heads of width {d_head} are over the limit"
            )));
        }
        Ok(Self {
            vocab: count("vocab_size", dims.vocab, MAX_VOCAB)?,
            d_model,
            d_mlp: count("intermediate_size", dims.d_mlp, MAX_WIDTH)?,
            n_layers: count("num_hidden_layers", dims.n_layers, MAX_LAYERS)?,
            n_heads,
            n_kv_heads,
            d_head,
            context_length: count(
                "max_position_embeddings",
                dims.context_length.or(Some(2048)),
                MAX_CONTEXT,
            )?,
            rms_norm_eps: positive("rms_norm_eps", dims.rms_norm_eps)? as f32,
            rope: RopeConfig {
                theta: RopeConfig::DEFAULT_THETA,
                scaling: super::RopeScaling::None,
            },
            tie_embeddings: false,
            attention_bias: false,
            mlp_bias: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::RopeScaling;

    const BASE: &str = r#""vocab_size":100,"hidden_size":12,"intermediate_size":24,"num_hidden_layers":2,
        "num_attention_heads":3,"max_position_embeddings":64"#;

    fn parse(more: &str) -> Result<LlamaConfig, Refusal> {
        LlamaConfig::from_json(format!("{{{BASE}{more}}}").as_bytes())
    }

    #[test]
    fn defaults_are_those_of_transformers() {
        let config = parse("").unwrap();
        assert_eq!(
            (config.n_kv_heads, config.d_head, config.rms_norm_eps),
            (3, 4, 1e-6)
        );
        assert_eq!(
            config.rope,
            RopeConfig {
                theta: 10_000.0,
                scaling: RopeScaling::None
            }
        );
        assert!(!config.tie_embeddings && !config.attention_bias && !config.mlp_bias);
    }

    #[test]
    fn both_spellings_of_rope_are_read() {
        let new = parse(
            r#","rope_parameters":{"rope_theta":500000.0,"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,
            "high_freq_factor":4.0,"original_max_position_embeddings":32}"#,
        );
        let old = parse(
            r#","rope_theta":500000.0,"rope_scaling":{"type":"llama3","factor":8.0,"low_freq_factor":1.0,
            "high_freq_factor":4.0,"original_max_position_embeddings":32}"#,
        );
        assert_eq!(new.unwrap().rope, old.unwrap().rope);
        assert_eq!(
            parse(r#","rope_scaling":null,"rope_theta":7"#)
                .unwrap()
                .rope
                .theta,
            7.0
        );
    }

    #[test]
    fn impossible_values_are_refused() {
        for bad in [
            r#","num_key_value_heads":2"#,
            r#","num_key_value_heads":0"#,
            r#","head_dim":5"#,
            r#","head_dim":99999999999"#,
            r#","rms_norm_eps":0.0"#,
            r#","rope_theta":-1.0"#,
            r#","head_dim":-4"#,
        ] {
            assert!(matches!(parse(bad), Err(Refusal::Malformed(_))), "{bad}");
        }
        assert!(matches!(
            parse(r#","hidden_act":"gelu""#),
            Err(Refusal::Unsupported(_))
        ));
        assert!(matches!(
            LlamaConfig::from_json(b"{}"),
            Err(Refusal::Malformed(_))
        ));
        assert!(matches!(
            LlamaConfig::from_json(b"nonsense"),
            Err(Refusal::Malformed(_))
        ));
    }
}
