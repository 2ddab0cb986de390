//! One transformer block: attention, then MLP, each on the normalised residual stream and added back to it.

use std::ops::ControlFlow;

use latentd_domain::{HookPoint, Site};

use super::{
    attention::{Attention, AttentionBuffers, Sequences},
    hooks::Hooks,
    mlp::Mlp,
    norm::Norm,
};
use crate::kernels::{Kernels, Then};

/// A block with the norms before its sublayers.
#[derive(Debug)]
pub(crate) struct Block<K: Kernels> {
    /// Before attention.
    pub(crate) attention_norm: Norm<K>,
    /// Attention.
    pub(crate) attention: Attention<K>,
    /// Before the MLP.
    pub(crate) mlp_norm: Norm<K>,
    /// The MLP.
    pub(crate) mlp: Mlp<K>,
}

/// Intermediate results of a pass: allocated by its first block, used again by the others and by later passes.
#[derive(Debug, Default)]
pub(super) struct Buffers<K: Kernels> {
    /// Rows of the residual stream whose logits are asked for.
    pub(super) picked: K::Dense,
    /// The residual stream, `[tokens, d_model]`.
    pub(super) residual: K::Dense,
    /// The same, normalised.
    pub(super) normed: K::Dense,
    attention: AttentionBuffers<K>,
    hidden: K::Dense,
    /// A sublayer's output, where it is wanted by itself.
    output: K::Dense,
}

impl<K: Kernels> Block<K> {
    /// Moves the residual stream past this block, which is number `layer`. Breaks off right after the deepest hook point.
    pub(super) fn forward(
        &self,
        layer: usize,
        sequences: &mut Sequences<'_, K>,
        buffers: &mut Buffers<K>,
        hooks: &mut dyn Hooks<K>,
    ) -> ControlFlow<()> {
        let Buffers {
            residual,
            normed,
            attention,
            hidden,
            output,
            ..
        } = buffers;
        hooks.visit(HookPoint::new(layer, Site::ResidPre), residual)?;

        self.attention_norm.apply(residual, normed);
        self.attention.heads(layer, normed, sequences, attention);
        hooks.visit(HookPoint::new(layer, Site::AttnZ), &mut attention.z)?;
        let mut sublayer = Sublayer {
            point: HookPoint::new(layer, Site::AttnOut),
            residual: &mut *residual,
            output: &mut *output,
        };
        sublayer.finish(&self.attention.out, &attention.z, hooks)?;
        hooks.visit(HookPoint::new(layer, Site::ResidMid), residual)?;

        self.mlp_norm.apply(residual, normed);
        self.mlp.hidden(normed, hidden);
        hooks.visit(HookPoint::new(layer, Site::MlpPost), hidden)?;
        let mut sublayer = Sublayer {
            point: HookPoint::new(layer, Site::MlpOut),
            residual: &mut *residual,
            output,
        };
        sublayer.finish(self.mlp.down(), hidden, hooks)?;
        hooks.visit(HookPoint::new(layer, Site::ResidPost), residual)
    }

    /// Bytes on the device.
    pub(super) fn bytes(&self) -> usize {
        self.attention_norm.bytes()
            + self.attention.bytes()
            + self.mlp_norm.bytes()
            + self.mlp.bytes()
    }
}

/// The end of a sublayer.
struct Sublayer<'a, K: Kernels> {
    point: HookPoint,
    residual: &'a mut K::Dense,
    output: &'a mut K::Dense,
}

impl<K: Kernels> Sublayer<'_, K> {
    /// Adds `x · projection` to the residual stream. Both ways give the same bits; the short one spares a pass over memory.
    fn finish(
        &mut self,
        projection: &K::Matrix,
        x: &K::Dense,
        hooks: &mut dyn Hooks<K>,
    ) -> ControlFlow<()> {
        if !hooks.wants(self.point) {
            K::product(x, projection, Then::Add, self.residual);
            return ControlFlow::Continue(());
        }
        K::product(x, projection, Then::Store, self.output);
        hooks.visit(self.point, self.output)?;
        K::add(self.output, self.residual);
        ControlFlow::Continue(())
    }
}
