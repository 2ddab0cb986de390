//! Self-attention with its projections.

use crate::{
    kernels::{
        AttentionScratch, Continued, Dense, Heads, LayerPast, Matrix, Rotation, Then, attention,
        attention_past,
    },
    packed::PackedTokens,
    past::Past,
};

/// Queries, keys and values in one product, attention, and the output projection.
#[derive(Debug)]
pub(crate) struct Attention {
    /// `[d_model, heads.qkv_width()]`.
    pub(crate) qkv: Matrix,
    /// `[heads.z_width(), d_model]`.
    pub(crate) out: Matrix,
    /// Number and width of the heads.
    pub(crate) heads: Heads,
}

/// What all layers of a pass see.
pub(super) struct Sequences<'a> {
    pub(super) tokens: &'a PackedTokens,
    pub(super) rotation: Option<&'a Rotation>,
    pub(super) pasts: Pasts<'a>,
}

/// What the sequences of a pass have had before.
pub(super) enum Pasts<'a> {
    /// Nothing, and nothing is kept of them.
    None,
    /// One for each sequence, to which this pass adds.
    Of(Vec<&'a mut Past>),
}

impl Pasts<'_> {
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
pub(super) struct AttentionBuffers {
    qkv: Dense,
    scratch: AttentionScratch,
    /// The heads' outputs, `[tokens, heads.z_width()]`.
    pub(super) z: Dense,
}

impl Attention {
    /// The heads' outputs for the normalised residual stream `x`, into `buffers.z`. This is layer number `layer`.
    pub(super) fn heads(
        &self,
        layer: usize,
        x: &Dense,
        sequences: &mut Sequences<'_>,
        buffers: &mut AttentionBuffers,
    ) {
        let AttentionBuffers { qkv, scratch, z } = buffers;
        self.qkv.product(x, Then::Store, qkv);
        let setting = (self.heads, sequences.rotation);
        match &mut sequences.pasts {
            Pasts::None => attention(qkv, setting, sequences.tokens, scratch, z),
            Pasts::Of(pasts) => {
                let of_layer = pasts.iter_mut().filter_map(|past| {
                    let length = past.length();
                    let past = past.layers.get_mut(layer)?;
                    Some(Continued { past, length })
                });
                let mut of_layer: Vec<_> = of_layer.collect();
                attention_past(qkv, setting, sequences.tokens, &mut of_layer, z);
            }
        }
    }

    /// Room for `capacity` tokens of one sequence.
    pub(super) fn past(&self, capacity: usize) -> LayerPast {
        LayerPast::new(self.heads, capacity)
    }

    pub(super) fn bytes(&self) -> usize {
        self.qkv.bytes() + self.out.bytes()
    }
}
