//! A model's configuration from GGUF metadata and the tensors that are there.

use super::header::Header;
use crate::weights::{
    Gpt2Config, LlamaConfig, ModelConfig, RopeConfig, RopeScaling,
    config::{Gpt2Dims, LlamaDims, Refusal, positive, unknown_family},
};

/// Factors that divide the rope frequencies, where the model has them.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The configuration that the header describes. `rope_factors` reads [`ROPE_FACTORS`].
pub(super) fn read(
    header: &Header,
    rope_factors: impl FnOnce(&str) -> Option<Vec<f32>>,
) -> Result<ModelConfig, Refusal> {
    let metadata = &header.metadata;
    if metadata
        .unsigned("split.count")
        .is_some_and(|count| count > 1)
    {
        let detail = "it is one part of a split file, which is not supported: merge it with `gguf-split --merge`";
        return Err(Refusal::Unsupported(detail.to_owned()));
    }
    let family = metadata
        .string("general.architecture")
        .ok_or_else(|| Refusal::Malformed("`general.architecture` is missing".to_owned()))?;
    let key = |name: &str| format!("{family}.{name}");
    let number = |name: &str| metadata.unsigned(&key(name));
    // The embedding has the last word: `vocab_size` may be absent, or count padding that is not there.
    let vocab = header
        .tensors
        .get("token_embd.weight")
        .and_then(|info| info.shape.first())
        .map(|&n| n as u64);
    let tie_embeddings = !header.tensors.contains_key("output.weight");
    match family {
        "llama" => {
            if number("expert_count").is_some_and(|count| count > 0) {
                return Err(Refusal::Unsupported(
                    "a mixture of experts is not supported".to_owned(),
                ));
            }
            let config = LlamaConfig::from_dims(&LlamaDims {
                vocab,
                d_model: number("embedding_length"),
                d_mlp: number("feed_forward_length"),
                n_layers: number("block_count"),
                n_heads: number("attention.head_count"),
                n_kv_heads: number("attention.head_count_kv"),
                d_head: number("attention.key_length").or_else(|| number("rope.dimension_count")),
                context_length: number("context_length"),
                rms_norm_eps: metadata
                    .float(&key("attention.layer_norm_rms_epsilon"))
                    .unwrap_or(1e-6),
            })?;
            let rope = rope(header, &config, rope_factors)?;
            Ok(ModelConfig::Llama(LlamaConfig {
                rope,
                tie_embeddings,
                attention_bias: header.tensors.contains_key("blk.0.attn_q.bias"),
                mlp_bias: header.tensors.contains_key("blk.0.ffn_gate.bias"),
                ..config
            }))
        }
        "gpt2" => {
            let config = Gpt2Config::from_dims(&Gpt2Dims {
                vocab,
                d_model: number("embedding_length"),
                d_mlp: number("feed_forward_length"),
                n_layers: number("block_count"),
                n_heads: number("attention.head_count"),
                context_length: number("context_length"),
                layer_norm_eps: metadata
                    .float(&key("attention.layer_norm_epsilon"))
                    .unwrap_or(1e-5),
            })?;
            Ok(ModelConfig::Gpt2(Gpt2Config {
                tie_embeddings,
                ..config
            }))
        }
        other => Err(unknown_family("general.architecture", other)),
    }
}

fn rope(
    header: &Header,
    config: &LlamaConfig,
    rope_factors: impl FnOnce(&str) -> Option<Vec<f32>>,
) -> Result<RopeConfig, Refusal> {
    let metadata = &header.metadata;
    if metadata
        .unsigned("llama.rope.dimension_count")
        .is_some_and(|n| n != config.d_head as u64)
    {
        return Err(Refusal::Unsupported(
            "rotating a part of each head is not supported".to_owned(),
        ));
    }
    let theta = metadata
        .float("llama.rope.freq_base")
        .unwrap_or(RopeConfig::DEFAULT_THETA);
    let theta = positive("llama.rope.freq_base", theta)?;
    let scaling = match metadata.string("llama.rope.scaling.type") {
        None | Some("none") => RopeScaling::None,
        Some("linear") => {
            let factor = metadata.float("llama.rope.scaling.factor").unwrap_or(1.0);
            RopeScaling::Linear {
                factor: positive("llama.rope.scaling.factor", factor)?,
            }
        }
        Some(other) => {
            let detail =
                format!("rope scaling `{other}` is not supported; supported are: none, linear");
            return Err(Refusal::Unsupported(detail));
        }
    };
    if !header.tensors.contains_key(ROPE_FACTORS) {
        return Ok(RopeConfig { theta, scaling });
    }
    let factors = rope_factors(ROPE_FACTORS)
        .filter(|factors| {
            factors.len() == config.d_head / 2 && factors.iter().all(|f| f.is_finite() && *f > 0.0)
        })
        .ok_or_else(|| {
            Refusal::Malformed(format!(
                "`{ROPE_FACTORS}` is not {} positive numbers",
                config.d_head / 2
            ))
        })?;
    Ok(RopeConfig {
        theta,
        scaling: RopeScaling::Factors(factors),
    })
}
