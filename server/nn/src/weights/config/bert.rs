//! The bert family's configuration: transformers' `BertConfig`.

use serde::Deserialize;

use super::{
    MAX_CONTEXT, MAX_HEADS, MAX_LAYERS, MAX_VOCAB, MAX_WIDTH, Refusal, count, divides, fields,
    from_json, keys, positive,
};
use crate::kernels::Then;

/// Layer norms after each sublayer, learned positions, attention in both directions, and an MLP with GELU.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BertConfig {
    /// Number of token ids.
    pub(crate) vocab: usize,
    /// Width of the residual stream; a multiple of `n_heads`.
    pub(crate) d_model: usize,
    /// Width of the MLP's hidden layer.
    pub(crate) d_mlp: usize,
    /// Number of blocks.
    pub(crate) n_layers: usize,
    /// Attention heads of a block.
    pub(crate) n_heads: usize,
    /// Rows of the position embedding.
    pub(crate) positions: usize,
    /// Rows of the embedding of segments.
    pub(crate) segments: usize,
    /// Added to the variance before the root.
    pub(crate) layer_norm_eps: f32,
    /// Which form of GELU.
    pub(crate) activation: Then,
}

/// The fields of `config.json` that matter. Absent fields have transformers' defaults.
#[derive(Deserialize)]
struct RawBert {
    vocab_size: Option<u64>,
    hidden_size: Option<u64>,
    intermediate_size: Option<u64>,
    num_hidden_layers: Option<u64>,
    num_attention_heads: Option<u64>,
    max_position_embeddings: Option<u64>,
    type_vocab_size: Option<u64>,
    layer_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    is_decoder: Option<bool>,
}

impl BertConfig {
    /// Name of the family, as `model_type` spells it.
    pub(crate) const FAMILY: &'static str = "bert";

    /// Reads `config.json`.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Refusal> {
        let all = from_json(json)?;
        keys::check_encoder(&all)?;
        let raw: RawBert = fields(&all)?;
        let positions = raw.position_embedding_type.as_deref().unwrap_or("absolute");
        if positions != "absolute" {
            let detail = format!(
                "position_embedding_type `{positions}` is not supported; supported is: absolute"
            );
            return Err(Refusal::Unsupported(detail));
        }
        if raw.is_decoder == Some(true) {
            let detail = "bert as a decoder is not supported".to_owned();
            return Err(Refusal::Unsupported(detail));
        }
        let d_model = count("hidden_size", raw.hidden_size.or(Some(768)), MAX_WIDTH)?;
        let n_heads = count(
            "num_attention_heads",
            raw.num_attention_heads.or(Some(12)),
            MAX_HEADS,
        )?;
        divides("hidden_size", d_model, "num_attention_heads", n_heads)?;
        let sized =
            |name, value: Option<u64>, default, limit| count(name, value.or(Some(default)), limit);
        Ok(Self {
            vocab: sized("vocab_size", raw.vocab_size, 30_522, MAX_VOCAB)?,
            d_model,
            d_mlp: sized(
                "intermediate_size",
                raw.intermediate_size,
                3072,
                4 * MAX_WIDTH,
            )?,
            n_layers: sized("num_hidden_layers", raw.num_hidden_layers, 12, MAX_LAYERS)?,
            n_heads,
            positions: sized(
                "max_position_embeddings",
                raw.max_position_embeddings,
                512,
                MAX_CONTEXT,
            )?,
            segments: sized("type_vocab_size", raw.type_vocab_size, 2, MAX_VOCAB)?,
            layer_norm_eps: positive("layer_norm_eps", raw.layer_norm_eps.unwrap_or(1e-12))? as f32,
            activation: activation(raw.hidden_act.as_deref().unwrap_or("gelu"))?,
        })
    }

    /// Names and shapes of all tensors; matrices are `[out, in]`.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (d_model, d_mlp) = (self.d_model, self.d_mlp);
        let table = |name: &str, rows| {
            let name = format!("bert.embeddings.{name}_embeddings.weight");
            (name, vec![rows, d_model])
        };
        let mut tensors = vec![
            table("word", self.vocab),
            table("position", self.positions),
            table("token_type", self.segments),
        ];
        let mut norms = vec!["bert.embeddings.LayerNorm".to_owned()];
        for layer in 0..self.n_layers {
            let block = format!("bert.encoder.layer.{layer}");
            for (name, rows, columns) in [
                ("attention.self.query", d_model, d_model),
                ("attention.self.key", d_model, d_model),
                ("attention.self.value", d_model, d_model),
                ("attention.output.dense", d_model, d_model),
                ("intermediate.dense", d_mlp, d_model),
                ("output.dense", d_model, d_mlp),
            ] {
                tensors.push((format!("{block}.{name}.weight"), vec![rows, columns]));
                tensors.push((format!("{block}.{name}.bias"), vec![rows]));
            }
            norms.push(format!("{block}.attention.output.LayerNorm"));
            norms.push(format!("{block}.output.LayerNorm"));
        }
        for norm in norms {
            tensors.push((format!("{norm}.weight"), vec![d_model]));
            tensors.push((format!("{norm}.bias"), vec![d_model]));
        }
        tensors
    }
}

fn activation(name: &str) -> Result<Then, Refusal> {
    match name {
        "gelu" => Ok(Then::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Then::GeluTanh),
        other => Err(Refusal::Unsupported(format!(
            "hidden_act `{other}` is not supported; supported are: gelu, gelu_new, gelu_pytorch_tanh"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<BertConfig, Refusal> {
        BertConfig::from_json(json.as_bytes())
    }

    #[test]
    fn defaults_are_those_of_transformers() {
        let config = parse("{}").unwrap();
        assert_eq!(
            (
                config.d_model,
                config.d_mlp,
                config.n_layers,
                config.n_heads
            ),
            (768, 3072, 12, 12)
        );
        assert_eq!(
            (config.vocab, config.positions, config.segments),
            (30_522, 512, 2)
        );
        assert_eq!(config.activation, Then::Gelu);
        assert_eq!(config.tensors().len(), 3 + 12 * 12 + 2 * 25);
    }

    #[test]
    fn what_the_code_does_not_do_is_refused() {
        for bad in [
            r#"{"hidden_act":"relu"}"#,
            r#"{"position_embedding_type":"relative_key"}"#,
            r#"{"is_decoder":true}"#,
        ] {
            assert!(matches!(parse(bad), Err(Refusal::Unsupported(_))), "{bad}");
        }
        for bad in [
            r#"{"hidden_size":10,"num_attention_heads":3}"#,
            r#"{"vocab_size":0}"#,
            "[]",
        ] {
            assert!(matches!(parse(bad), Err(Refusal::Malformed(_))), "{bad}");
        }
    }
}
