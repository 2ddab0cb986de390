//! Self-attention with its projections.

use crate::{
    kernels::{AttentionScratch, Dense, Heads, Matrix, Rotation, Then, attention},
    packed::PackedTokens,
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

/// Intermediate results, kept from one layer to the next.
#[derive(Debug, Default)]
pub(super) struct AttentionBuffers {
    qkv: Dense,
    scratch: AttentionScratch,
    /// The heads' outputs, `[tokens, heads.z_width()]`.
    pub(super) z: Dense,
}

impl Attention {
    /// The heads' outputs for the normalised residual stream `x`, into `buffers.z`.
    pub(super) fn heads(
        &self,
        x: &Dense,
        tokens: &PackedTokens,
        rotation: Option<&Rotation>,
        buffers: &mut AttentionBuffers,
    ) {
        let AttentionBuffers { qkv, scratch, z } = buffers;
        self.qkv.product(x, Then::Store, qkv);
        attention(qkv, (self.heads, rotation), tokens, scratch, z);
    }

    pub(super) fn bytes(&self) -> usize {
        self.qkv.bytes() + self.out.bytes()
    }
}
