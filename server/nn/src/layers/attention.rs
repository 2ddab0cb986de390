//! Self-attention with its projections.

use crate::{
    kernels::{Continued, Heads, Kernels, Then, Weight},
    packed::PackedTokens,
    past::PastOn,
};

/// Queries, keys and values in one product, attention, and the output projection.
#[derive(Debug)]
pub(crate) struct Attention<K: Kernels> {
    /// `[d_model, heads.qkv_width()]`.
    pub(crate) qkv: K::Matrix,
    /// `[heads.z_width(), d_model]`.
    pub(crate) out: K::Matrix,
    /// Number and width of the heads.
    pub(crate) heads: Heads,
}

/// What all layers of a pass see.
pub(super) struct Sequences<'a, K: Kernels> {
    pub(super) tokens: &'a PackedTokens,
    pub(super) rotation: Option<&'a K::Rotation>,
    pub(super) pasts: Pasts<'a, K>,
}

/// What the sequences of a pass have had before.
pub(super) enum Pasts<'a, K: Kernels> {
    /// Nothing, and nothing is kept of them.
    None,
    /// One for each sequence, to which this pass adds.
    Of(Vec<&'a mut PastOn<K>>),
}

impl<K: Kernels> Pasts<'_, K> {
    /// Tokens that each of `count` sequences has had.
    pub(super) fn lengths(&self, count: usize) -> Vec<usize> {
        match self {
            Self::None => vec![0; count],
            Self::Of(pasts) => pasts.iter().map(|past| past.length()).collect(),
        }
    }
}

/// Intermediate results, kept from one layer to the next.
#[derive(Debug, Default)]
pub(super) struct AttentionBuffers<K: Kernels> {
    qkv: K::Dense,
    scratch: K::Scratch,
    /// The heads' outputs, `[tokens, heads.z_width()]`.
    pub(super) z: K::Dense,
}

impl<K: Kernels> Attention<K> {
    /// The heads' outputs for the normalised residual stream `x`, into `buffers.z`. This is layer number `layer`.
    pub(super) fn heads(
        &self,
        layer: usize,
        x: &K::Dense,
        sequences: &mut Sequences<'_, K>,
        buffers: &mut AttentionBuffers<K>,
    ) {
        let AttentionBuffers { qkv, scratch, z } = buffers;
        K::product(x, &self.qkv, Then::Store, qkv);
        let setting = (self.heads, sequences.rotation);
        match &mut sequences.pasts {
            Pasts::None => K::attention(qkv, setting, sequences.tokens, scratch, z),
            Pasts::Of(pasts) => {
                let of_layer = pasts.iter_mut().filter_map(|past| {
                    let length = past.length();
                    let past = past.layers.get_mut(layer)?;
                    Some(Continued { past, length })
                });
                let mut of_layer: Vec<_> = of_layer.collect();
                K::attention_past(qkv, setting, sequences.tokens, &mut of_layer, z);
            }
        }
    }

    /// Room for `capacity` tokens of one sequence.
    pub(super) fn past(&self, capacity: usize) -> K::LayerPast {
        K::layer_past(self.heads, capacity)
    }

    pub(super) fn bytes(&self) -> usize {
        self.qkv.bytes() + self.out.bytes()
    }
}
