//! BERT: embeddings of words, positions and segments, then blocks that normalise after each sublayer and attend both ways.
//!
//! Source: transformers' `modeling_bert.py` (Devlin et al. 2019).

use std::marker::PhantomData;

use crate::{
    error::LoadError,
    kernels::{Heads, HostMatrix, Kernels, Layout, Placement, Then, Weight},
    layers::Norm,
    packed::PackedTokens,
    weights::{BertConfig, Checkpoint},
};

/// The layers.
#[derive(Debug)]
pub(super) struct Bert<K: Kernels> {
    words: K::Table,
    /// Positions and the first segment together: a text alone has no other segment.
    places: K::Table,
    norm: Norm<K>,
    blocks: Vec<Block<K>>,
}

#[derive(Debug)]
struct Block<K: Kernels> {
    qkv: K::Matrix,
    heads: Heads,
    out: K::Matrix,
    /// After attention.
    attention_norm: Norm<K>,
    up: K::Matrix,
    activation: Then,
    down: K::Matrix,
    /// After the MLP.
    mlp_norm: Norm<K>,
}

/// Intermediate results of a pass, used again by later ones.
#[derive(Debug, Default)]
pub(super) struct Buffers<K: Kernels> {
    /// The residual stream.
    pub(super) stream: K::Dense,
    middle: K::Dense,
    qkv: K::Dense,
    z: K::Dense,
    hidden: K::Dense,
    scratch: K::Scratch,
}

impl<K: Kernels> Bert<K> {
    /// Turns the weights into layers.
    pub(super) fn read(
        config: &BertConfig,
        checkpoint: &mut Checkpoint,
        place: Placement<'_>,
    ) -> Result<Self, LoadError> {
        let mut reader = Reader::<K> {
            config,
            checkpoint,
            place,
            kernels: PhantomData,
        };
        let words = reader.table("word", config.vocab)?;
        let mut places = reader.table("position", config.positions)?;
        let segments = reader.table("token_type", config.segments)?;
        for row in places.chunks_exact_mut(config.d_model) {
            for (value, segment) in row.iter_mut().zip(&segments) {
                *value += segment;
            }
        }
        Ok(Self {
            words: K::table(words, config.d_model, place),
            places: K::table(places, config.d_model, place),
            norm: reader.norm("bert.embeddings.LayerNorm")?,
            blocks: (0..config.n_layers)
                .map(|layer| reader.block(layer))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The last residual stream of `tokens`, `[tokens, d_model]`, into `buffers.stream`. Callers check ids and lengths.
    pub(super) fn forward(&self, tokens: &PackedTokens, buffers: &mut Buffers<K>) {
        let positions: Vec<u32> = tokens
            .ranges()
            .flat_map(|rows| 0..rows.len() as u32)
            .collect();
        K::lookup(&self.words, tokens.ids(), &mut buffers.middle);
        K::lookup_add(&self.places, &positions, &mut buffers.middle);
        self.norm.apply(&buffers.middle, &mut buffers.stream);
        for block in &self.blocks {
            block.forward(tokens, buffers);
        }
    }

    /// Bytes on the device.
    pub(super) fn bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(Block::bytes).sum();
        self.words.bytes() + self.places.bytes() + self.norm.bytes() + blocks
    }
}

impl<K: Kernels> Block<K> {
    fn forward(&self, tokens: &PackedTokens, buffers: &mut Buffers<K>) {
        let Buffers {
            stream,
            middle,
            qkv,
            z,
            hidden,
            scratch,
        } = buffers;
        K::product(stream, &self.qkv, Then::Store, qkv);
        K::full_attention(qkv, self.heads, tokens, scratch, z);
        K::product(z, &self.out, Then::Add, stream);
        self.attention_norm.apply(stream, middle);
        K::product(middle, &self.up, self.activation, hidden);
        K::product(hidden, &self.down, Then::Add, middle);
        self.mlp_norm.apply(middle, stream);
    }

    fn bytes(&self) -> usize {
        let matrices = [&self.qkv, &self.out, &self.up, &self.down];
        matrices.into_iter().map(K::Matrix::bytes).sum::<usize>()
            + self.attention_norm.bytes()
            + self.mlp_norm.bytes()
    }
}

struct Reader<'a, K> {
    config: &'a BertConfig,
    checkpoint: &'a mut Checkpoint,
    place: Placement<'a>,
    kernels: PhantomData<K>,
}

impl<K: Kernels> Reader<'_, K> {
    fn block(&mut self, layer: usize) -> Result<Block<K>, LoadError> {
        let name = |part: &str| format!("bert.encoder.layer.{layer}.{part}");
        let &BertConfig {
            d_model,
            d_mlp,
            n_heads,
            activation,
            ..
        } = self.config;
        Ok(Block {
            qkv: self.qkv(&name("attention.self"))?,
            heads: Heads {
                n_heads,
                n_kv_heads: n_heads,
                d_head: d_model / n_heads,
            },
            out: self.matrix(&name("attention.output.dense"), d_model, d_model)?,
            attention_norm: self.norm(&name("attention.output.LayerNorm"))?,
            up: self.matrix(&name("intermediate.dense"), d_model, d_mlp)?,
            activation,
            down: self.matrix(&name("output.dense"), d_mlp, d_model)?,
            mlp_norm: self.norm(&name("output.LayerNorm"))?,
        })
    }

    /// Queries, keys and values as one matrix: its rows are outputs, so that one follows the other.
    fn qkv(&mut self, name: &str) -> Result<K::Matrix, LoadError> {
        let d_model = self.config.d_model;
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            let host = self.linear(&format!("{name}.{part}"), d_model, d_model)?;
            weight.extend(host.weight);
            bias.extend(host.bias.into_iter().flatten());
        }
        let host = HostMatrix {
            weight,
            bias: Some(bias),
            inputs: d_model,
            outputs: 3 * d_model,
            layout: Layout::OutIn,
        };
        Ok(K::matrix(&host, self.place))
    }

    fn matrix(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<K::Matrix, LoadError> {
        Ok(K::matrix(&self.linear(name, inputs, outputs)?, self.place))
    }

    fn linear(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<HostMatrix, LoadError> {
        let weight = self
            .checkpoint
            .take(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.checkpoint.take(&format!("{name}.bias"), &[outputs])?;
        Ok(HostMatrix {
            weight: weight.data,
            bias: Some(bias.data),
            inputs,
            outputs,
            layout: Layout::OutIn,
        })
    }

    fn norm(&mut self, name: &str) -> Result<Norm<K>, LoadError> {
        let mut vector = |part: &str| {
            let tensor = self
                .checkpoint
                .take(&format!("{name}.{part}"), &[self.config.d_model])?;
            Ok::<_, LoadError>(K::vector(tensor.data, self.place))
        };
        Ok(Norm::Layer {
            weight: vector("weight")?,
            bias: vector("bias")?,
            eps: self.config.layer_norm_eps,
        })
    }

    fn table(&mut self, name: &str, rows: usize) -> Result<Vec<f32>, LoadError> {
        let name = format!("bert.embeddings.{name}_embeddings.weight");
        Ok(self
            .checkpoint
            .take(&name, &[rows, self.config.d_model])?
            .data)
    }
}
