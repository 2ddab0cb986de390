//! One transformer block: attention, then MLP, each on the normalised residual stream and added back to it.

use std::ops::ControlFlow;

use latentd_domain::Site;

use super::{
    attention::{Attention, AttentionBuffers, Sequences},
    mlp::Mlp,
    norm::Norm,
    taps::Recorder,
};
use crate::kernels::{Dense, Matrix, Then, add};

/// A block with the norms before its sublayers.
#[derive(Debug)]
pub(crate) struct Block {
    /// Before attention.
    pub(crate) attention_norm: Norm,
    /// Attention.
    pub(crate) attention: Attention,
    /// Before the MLP.
    pub(crate) mlp_norm: Norm,
    /// The MLP.
    pub(crate) mlp: Mlp,
}

/// Intermediate results of a pass: allocated by its first block, used again by the others and by later passes.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Rows of the residual stream whose logits are asked for.
    pub(super) picked: Dense,
    /// The residual stream, `[tokens, d_model]`.
    pub(super) residual: Dense,
    /// The same, normalised.
    pub(super) normed: Dense,
    attention: AttentionBuffers,
    hidden: Dense,
    /// A sublayer's output, where it is wanted by itself.
    output: Dense,
}

impl Block {
    /// Moves the residual stream past this block, which is number `layer`. Breaks off right after the deepest hook point.
    pub(super) fn forward(
        &self,
        layer: usize,
        sequences: &mut Sequences<'_>,
        buffers: &mut Buffers,
        recorder: &mut Recorder<'_>,
    ) -> ControlFlow<()> {
        let Buffers {
            residual,
            normed,
            attention,
            hidden,
            output,
            ..
        } = buffers;
        recorder.visit(layer, Site::ResidPre, residual)?;

        self.attention_norm.apply(residual, normed);
        self.attention.heads(layer, normed, sequences, attention);
        recorder.visit(layer, Site::AttnZ, &attention.z)?;
        let mut sublayer = Sublayer {
            layer,
            site: Site::AttnOut,
            residual: &mut *residual,
            output: &mut *output,
        };
        sublayer.finish(&self.attention.out, &attention.z, recorder)?;
        recorder.visit(layer, Site::ResidMid, residual)?;

        self.mlp_norm.apply(residual, normed);
        self.mlp.hidden(normed, hidden);
        recorder.visit(layer, Site::MlpPost, hidden)?;
        let mut sublayer = Sublayer {
            layer,
            site: Site::MlpOut,
            residual: &mut *residual,
            output,
        };
        sublayer.finish(self.mlp.down(), hidden, recorder)?;
        recorder.visit(layer, Site::ResidPost, residual)
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
struct Sublayer<'a> {
    layer: usize,
    site: Site,
    residual: &'a mut Dense,
    output: &'a mut Dense,
}

impl Sublayer<'_> {
    /// Adds `x · projection` to the residual stream. Both ways give the same bits; the short one spares a pass over memory.
    fn finish(
        &mut self,
        projection: &Matrix,
        x: &Dense,
        recorder: &mut Recorder<'_>,
    ) -> ControlFlow<()> {
        if !recorder.wants(self.layer, self.site) {
            projection.product(x, Then::Add, self.residual);
            return ControlFlow::Continue(());
        }
        projection.product(x, Then::Store, self.output);
        recorder.visit(self.layer, self.site, self.output)?;
        add(self.output, self.residual);
        ControlFlow::Continue(())
    }
}
