//! The two kinds of MLP.

use crate::kernels::{Dense, Matrix, Then};

/// A hidden layer and the way back to the residual stream.
#[derive(Debug)]
pub(crate) enum Mlp {
    /// `down(silu(gate(x)) · up(x))` (Shazeer 2020); llama.
    SwiGlu {
        /// Gate and factor together, `[d_model, d_mlp]` each.
        gate_up: Matrix,
        /// `[d_mlp, d_model]`.
        down: Matrix,
    },
    /// `down(gelu(up(x)))` with GELU in its tanh form; GPT-2.
    Gelu {
        /// `[d_model, d_mlp]`.
        up: Matrix,
        /// `[d_mlp, d_model]`.
        down: Matrix,
    },
}

impl Mlp {
    /// The hidden layer after its activation function and gate, `[tokens, d_mlp]`.
    pub(super) fn hidden(&self, x: &Dense, out: &mut Dense) {
        match self {
            Self::SwiGlu { gate_up, .. } => gate_up.product(x, Then::SiluGate, out),
            Self::Gelu { up, .. } => up.product(x, Then::GeluTanh, out),
        }
    }

    /// The way back.
    pub(super) const fn down(&self) -> &Matrix {
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
