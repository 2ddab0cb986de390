//! The two kinds of MLP.

use crate::kernels::{Kernels, Then, Weight};

/// A hidden layer and the way back to the residual stream.
#[derive(Debug)]
pub(crate) enum Mlp<K: Kernels> {
    /// `down(silu(gate(x)) · up(x))` (Shazeer 2020); llama.
    SwiGlu {
        /// Gate and factor together, `[d_model, d_mlp]` each.
        gate_up: K::Matrix,
        /// `[d_mlp, d_model]`.
        down: K::Matrix,
    },
    /// `down(gelu(up(x)))` with GELU in its tanh form; GPT-2.
    Gelu {
        /// `[d_model, d_mlp]`.
        up: K::Matrix,
        /// `[d_mlp, d_model]`.
        down: K::Matrix,
    },
}

impl<K: Kernels> Mlp<K> {
    /// The hidden layer after its activation function and gate, `[tokens, d_mlp]`.
    pub(super) fn hidden(&self, x: &K::Dense, out: &mut K::Dense) {
        match self {
            Self::SwiGlu { gate_up, .. } => K::product(x, gate_up, Then::SiluGate, out),
            Self::Gelu { up, .. } => K::product(x, up, Then::GeluTanh, out),
        }
    }

    /// The way back.
    pub(super) const fn down(&self) -> &K::Matrix {
        match self {
            Self::SwiGlu { down, .. } | Self::Gelu { down, .. } => down,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.down().bytes()
            + match self {
                Self::SwiGlu { gate_up: first, .. } | Self::Gelu { up: first, .. } => first.bytes(),
            }
    }
}
