//! The llama family: Llama, SmolLM2, and what shares their code. Root-mean-square norms, rotary positions, grouped-query
//! attention and a gated MLP.
//!
//! Source: transformers' `modeling_llama.py`.

use std::marker::PhantomData;

use crate::{
    error::LoadError,
    kernels::{Heads, HostMatrix, Kernels, Layout, Placement},
    layers::{Attention, Block, Mlp, Norm, Parts, Rope},
    weights::{Checkpoint, LlamaConfig},
};

/// Turns the weights into layers.
pub(super) fn parts<K: Kernels>(
    config: &LlamaConfig,
    checkpoint: &mut Checkpoint,
    place: Placement<'_>,
) -> Result<Parts<K>, LoadError> {
    let mut reader = Reader {
        config,
        checkpoint,
        place,
        kernels: PhantomData,
    };
    let rope = Rope::new(
        config.rope.inverse_frequencies(config.d_head),
        config.rope.attention_factor(),
        config.context_length,
        place.device,
    );
    Ok(Parts {
        embedding: reader.table("model.embed_tokens.weight")?,
        positions: None,
        rope: Some(rope),
        blocks: (0..config.n_layers)
            .map(|layer| reader.block(layer))
            .collect::<Result<_, _>>()?,
        final_norm: reader.norm("model.norm")?,
        unembedding: if config.tie_embeddings {
            None
        } else {
            Some(reader.table("lm_head.weight")?)
        },
        vocab: config.vocab,
        context_length: config.context_length,
    })
}

struct Reader<'a, K> {
    config: &'a LlamaConfig,
    checkpoint: &'a mut Checkpoint,
    place: Placement<'a>,
    kernels: PhantomData<K>,
}

impl<K: Kernels> Reader<'_, K> {
    fn block(&mut self, layer: usize) -> Result<Block<K>, LoadError> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let &LlamaConfig {
            d_model,
            d_mlp,
            attention_bias,
            mlp_bias,
            ..
        } = self.config;
        let &LlamaConfig {
            n_heads,
            n_kv_heads,
            d_head,
            ..
        } = self.config;
        let heads = Heads {
            n_heads,
            n_kv_heads,
            d_head,
        };
        let projection = |of: &str, rows| (name(&format!("self_attn.{of}_proj")), rows);
        let qkv = [
            projection("q", heads.z_width()),
            projection("k", heads.kv_width()),
            projection("v", heads.kv_width()),
        ];
        let qkv = self.stacked(&qkv, d_model, attention_bias)?;
        let out = self.stacked(&[projection("o", d_model)], heads.z_width(), attention_bias)?;
        let gate = self.stacked(&[(name("mlp.gate_proj"), d_mlp)], d_model, mlp_bias)?;
        let up = self.stacked(&[(name("mlp.up_proj"), d_mlp)], d_model, mlp_bias)?;
        let down = self.stacked(&[(name("mlp.down_proj"), d_model)], d_mlp, mlp_bias)?;
        Ok(Block {
            attention_norm: self.norm(&name("input_layernorm"))?,
            attention: Attention {
                qkv: K::matrix(&qkv, self.place),
                out: K::matrix(&out, self.place),
                heads,
            },
            mlp_norm: self.norm(&name("post_attention_layernorm"))?,
            mlp: Mlp::SwiGlu {
                gate_up: K::gated(&gate, &up, self.place),
                down: K::matrix(&down, self.place),
            },
        })
    }

    /// Several `Linear`s of the same input as one: rows of outputs below each other.
    fn stacked(
        &mut self,
        linears: &[(String, usize)],
        inputs: usize,
        bias: bool,
    ) -> Result<HostMatrix, LoadError> {
        let outputs = linears.iter().map(|(_, rows)| rows).sum();
        let mut weight = Vec::with_capacity(inputs * outputs);
        let mut biases = bias.then(|| Vec::with_capacity(outputs));
        for (name, rows) in linears {
            weight.extend_from_slice(
                &self
                    .checkpoint
                    .take(&format!("{name}.weight"), &[*rows, inputs])?
                    .data,
            );
            if let Some(biases) = &mut biases {
                biases.extend_from_slice(
                    &self
                        .checkpoint
                        .take(&format!("{name}.bias"), &[*rows])?
                        .data,
                );
            }
        }
        Ok(HostMatrix {
            weight,
            bias: biases,
            inputs,
            outputs,
            layout: Layout::OutIn,
        })
    }

    fn norm(&mut self, name: &str) -> Result<Norm<K>, LoadError> {
        let weight = self
            .checkpoint
            .take(&format!("{name}.weight"), &[self.config.d_model])?
            .data;
        Ok(Norm::Rms {
            weight: K::vector(weight, self.place),
            eps: self.config.rms_norm_eps,
        })
    }

    fn table(&mut self, name: &str) -> Result<K::Table, LoadError> {
        let LlamaConfig { vocab, d_model, .. } = *self.config;
        let values = self.checkpoint.take(name, &[vocab, d_model])?.data;
        Ok(K::table(values, d_model, self.place))
    }
}
