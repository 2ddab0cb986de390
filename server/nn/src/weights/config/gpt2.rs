//! The gpt2 family's configuration: transformers' `GPT2Config`, or GGUF metadata under `gpt2.`.

use serde::Deserialize;

use super::{
    MAX_CONTEXT, MAX_HEADS, MAX_LAYERS, MAX_VOCAB, MAX_WIDTH, Refusal, count, divides, fields,
    from_json, keys, positive,
};

/// Layer norms, learned positions, full attention and an MLP with GELU in its tanh form.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpt2Config {
    /// Number of token ids.
    pub vocab: usize,
    /// Width of the residual stream; a multiple of `n_heads`.
    pub d_model: usize,
    /// Width of the MLP's hidden layer.
    pub d_mlp: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Attention heads of a block.
    pub n_heads: usize,
    /// Longest sequence, in tokens: the rows of the position embedding.
    pub context_length: usize,
    /// Added to the variance before the root.
    pub layer_norm_eps: f32,
    /// The unembedding is the embedding; no `lm_head.weight` is read.
    pub tie_embeddings: bool,
}

/// The fields of `config.json` that matter. Absent fields have transformers' defaults.
#[derive(Deserialize)]
struct RawGpt2 {
    vocab_size: Option<u64>,
    n_embd: Option<u64>,
    n_layer: Option<u64>,
    n_head: Option<u64>,
    n_inner: Option<u64>,
    n_positions: Option<u64>,
    n_ctx: Option<u64>,
    hidden_size: Option<u64>,
    num_hidden_layers: Option<u64>,
    num_attention_heads: Option<u64>,
    max_position_embeddings: Option<u64>,
    layer_norm_epsilon: Option<f64>,
    activation_function: Option<String>,
    tie_word_embeddings: Option<bool>,
    scale_attn_weights: Option<bool>,
    scale_attn_by_inverse_layer_idx: Option<bool>,
}

/// Dimensions as a file states them, not yet checked.
pub(crate) struct Gpt2Dims {
    pub(crate) vocab: Option<u64>,
    pub(crate) d_model: Option<u64>,
    pub(crate) d_mlp: Option<u64>,
    pub(crate) n_layers: Option<u64>,
    pub(crate) n_heads: Option<u64>,
    pub(crate) context_length: Option<u64>,
    pub(crate) layer_norm_eps: f64,
}

impl Gpt2Config {
    /// Width of an attention head.
    pub const fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }

    pub(super) fn from_json(json: &[u8]) -> Result<Self, Refusal> {
        let all = from_json(json)?;
        keys::check_decoder(&all)?;
        let raw: RawGpt2 = fields(&all)?;
        let supported = ["gelu_new", "gelu_pytorch_tanh"];
        if let Some(activation) = raw
            .activation_function
            .filter(|name| !supported.contains(&name.as_str()))
        {
            let detail = format!(
                "activation_function `{activation}` is not supported; supported are: {}",
                supported.join(", ")
            );
            return Err(Refusal::Unsupported(detail));
        }
        for (name, differs) in [
            ("scale_attn_weights", raw.scale_attn_weights == Some(false)),
            (
                "scale_attn_by_inverse_layer_idx",
                raw.scale_attn_by_inverse_layer_idx == Some(true),
            ),
        ] {
            if differs {
                let detail =
                    format!("gpt2 with another `{name}` than the default is not supported");
                return Err(Refusal::Unsupported(detail));
            }
        }
        let config = Self::from_dims(&Gpt2Dims {
            vocab: raw.vocab_size,
            d_model: either("n_embd", raw.n_embd, "hidden_size", raw.hidden_size)?,
            d_mlp: raw.n_inner,
            n_layers: either(
                "n_layer",
                raw.n_layer,
                "num_hidden_layers",
                raw.num_hidden_layers,
            )?,
            n_heads: either(
                "n_head",
                raw.n_head,
                "num_attention_heads",
                raw.num_attention_heads,
            )?,
            context_length: either(
                "n_positions",
                raw.n_positions,
                "max_position_embeddings",
                raw.max_position_embeddings,
            )?
            .or(raw.n_ctx),
            layer_norm_eps: raw.layer_norm_epsilon.unwrap_or(1e-5),
        })?;
        Ok(Self {
            tie_embeddings: raw.tie_word_embeddings.unwrap_or(true),
            ..config
        })
    }

    /// A configuration of these dimensions, with everything else at its default.
    pub(crate) fn from_dims(dims: &Gpt2Dims) -> Result<Self, Refusal> {
        let d_model = count("n_embd", dims.d_model, MAX_WIDTH)?;
        let n_heads = count("n_head", dims.n_heads, MAX_HEADS)?;
        divides("n_embd", d_model, "n_head", n_heads)?;
        Ok(Self {
            vocab: count("vocab_size", dims.vocab, MAX_VOCAB)?,
            d_model,
            d_mlp: count(
                "n_inner",
                dims.d_mlp.or(Some(4 * d_model as u64)),
                4 * MAX_WIDTH,
            )?,
            n_layers: count("n_layer", dims.n_layers, MAX_LAYERS)?,
            n_heads,
            context_length: count(
                "n_positions",
                dims.context_length.or(Some(1024)),
                MAX_CONTEXT,
            )?,
            layer_norm_eps: positive("layer_norm_epsilon", dims.layer_norm_eps)? as f32,
            tie_embeddings: true,
        })
    }
}

/// A number that the file may give by either of two names; transformers takes both.
fn either(
    name: &str,
    value: Option<u64>,
    alias: &str,
    other: Option<u64>,
) -> Result<Option<u64>, Refusal> {
    match (value, other) {
        (Some(value), Some(other)) if value != other => Err(Refusal::Malformed(format!(
            "`{name}` is {value} and `{alias}`, another name for it, is {other}"
        ))),
        _ => Ok(value.or(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#""vocab_size":100,"n_embd":12,"n_layer":2,"n_head":3"#;

    fn parse(more: &str) -> Result<Gpt2Config, Refusal> {
        Gpt2Config::from_json(format!("{{{BASE}{more}}}").as_bytes())
    }

    #[test]
    fn defaults_are_those_of_transformers() {
        let config = parse("").unwrap();
        assert_eq!(
            (config.d_mlp, config.context_length, config.layer_norm_eps),
            (48, 1024, 1e-5)
        );
        assert_eq!(config.d_head(), 4);
        assert!(config.tie_embeddings);
    }

    #[test]
    fn both_names_of_a_dimension_are_read() {
        let config =
            br#"{"vocab_size":100,"hidden_size":12,"num_hidden_layers":2,"num_attention_heads":3,
            "max_position_embeddings":64}"#;
        let config = Gpt2Config::from_json(config).unwrap();
        assert_eq!((config.d_model, config.context_length), (12, 64));
        assert!(parse(r#","hidden_size":12"#).is_ok());
        assert!(matches!(
            parse(r#","hidden_size":24"#),
            Err(Refusal::Malformed(_))
        ));
    }

    #[test]
    fn what_the_code_does_not_do_is_refused() {
        for bad in [
            r#","activation_function":"relu""#,
            r#","scale_attn_weights":false"#,
            r#","scale_attn_by_inverse_layer_idx":true"#,
            r#","add_cross_attention":true"#,
        ] {
            assert!(matches!(parse(bad), Err(Refusal::Unsupported(_))), "{bad}");
        }
        assert!(matches!(
            parse(r#","n_inner":0"#),
            Err(Refusal::Malformed(_))
        ));
    }
}
