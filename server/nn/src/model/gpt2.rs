//! GPT-2: layer norms, learned positions, full attention and an MLP with GELU. Its matrices are `Conv1D`s, which is to say
//! inputs by outputs.
//!
//! Source: transformers' `modeling_gpt2.py`.

use std::marker::PhantomData;

use crate::{
    error::LoadError,
    kernels::{Heads, HostMatrix, Kernels, Layout, Placement},
    layers::{Attention, Block, Mlp, Norm, Parts},
    weights::{Checkpoint, Gpt2Config},
};

/// Turns the weights into layers.
pub(super) fn parts<K: Kernels>(
    config: &Gpt2Config,
    checkpoint: &mut Checkpoint,
    place: Placement<'_>,
) -> Result<Parts<K>, LoadError> {
    let mut reader = Reader {
        config,
        checkpoint,
        place,
        kernels: PhantomData,
    };
    let &Gpt2Config {
        vocab,
        context_length,
        ..
    } = config;
    Ok(Parts {
        embedding: reader.table("transformer.wte.weight", vocab)?,
        positions: Some(reader.table("transformer.wpe.weight", context_length)?),
        rope: None,
        blocks: (0..config.n_layers)
            .map(|layer| reader.block(layer))
            .collect::<Result<_, _>>()?,
        final_norm: reader.norm("transformer.ln_f")?,
        unembedding: if config.tie_embeddings {
            None
        } else {
            Some(reader.table("lm_head.weight", vocab)?)
        },
        vocab,
        context_length,
    })
}

struct Reader<'a, K> {
    config: &'a Gpt2Config,
    checkpoint: &'a mut Checkpoint,
    place: Placement<'a>,
    kernels: PhantomData<K>,
}

impl<K: Kernels> Reader<'_, K> {
    fn block(&mut self, layer: usize) -> Result<Block<K>, LoadError> {
        let name = |part: &str| format!("transformer.h.{layer}.{part}");
        let &Gpt2Config {
            d_model,
            d_mlp,
            n_heads,
            ..
        } = self.config;
        let heads = Heads {
            n_heads,
            n_kv_heads: n_heads,
            d_head: self.config.d_head(),
        };
        Ok(Block {
            attention_norm: self.norm(&name("ln_1"))?,
            attention: Attention {
                qkv: self.matrix(&name("attn.c_attn"), d_model, heads.qkv_width())?,
                out: self.matrix(&name("attn.c_proj"), heads.z_width(), d_model)?,
                heads,
            },
            mlp_norm: self.norm(&name("ln_2"))?,
            mlp: Mlp::Gelu {
                up: self.matrix(&name("mlp.c_fc"), d_model, d_mlp)?,
                down: self.matrix(&name("mlp.c_proj"), d_mlp, d_model)?,
            },
        })
    }

    fn matrix(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<K::Matrix, LoadError> {
        let weight = self
            .checkpoint
            .take(&format!("{name}.weight"), &[inputs, outputs])?
            .data;
        let bias = Some(
            self.checkpoint
                .take(&format!("{name}.bias"), &[outputs])?
                .data,
        );
        let host = HostMatrix {
            weight,
            bias,
            inputs,
            outputs,
            layout: Layout::InOut,
        };
        Ok(K::matrix(&host, self.place))
    }

    fn norm(&mut self, name: &str) -> Result<Norm<K>, LoadError> {
        let mut vector = |part: &str| -> Result<K::Vector, LoadError> {
            let tensor = self
                .checkpoint
                .take(&format!("{name}.{part}"), &[self.config.d_model])?;
            Ok(K::vector(tensor.data, self.place))
        };
        Ok(Norm::Layer {
            weight: vector("weight")?,
            bias: vector("bias")?,
            eps: self.config.layer_norm_eps,
        })
    }

    fn table(&mut self, name: &str, rows: usize) -> Result<K::Table, LoadError> {
        let d_model = self.config.d_model;
        let values = self.checkpoint.take(name, &[rows, d_model])?.data;
        Ok(K::table(values, d_model, self.place))
    }
}
