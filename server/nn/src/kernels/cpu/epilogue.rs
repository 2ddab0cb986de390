//! What happens to a product while it is still in the first-level cache, in place of one more pass over memory.

use super::{
    math::{gelu, gelu_tanh, silu},
    microkernel::PANEL,
};

/// Columns of the gate, and as many of the other factor, in a panel of a gated matrix.
pub(crate) const HALF: usize = PANEL / 2;

/// What becomes of `x · W`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Added to the product, `[n]`.
    pub bias: Option<&'a [f32]>,
    /// What is done with the sum.
    pub then: Then,
}

/// What is done with a product and its bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// Written to the output.
    #[default]
    Store,
    /// Added to what the output holds: the residual stream.
    Add,
    /// GELU in its tanh form, then written.
    GeluTanh,
    /// GELU as it is defined, then written.
    Gelu,
    /// `silu(gate) · up`, then written: for matrices of [`super::PackedMatrix::pack_gated`] only.
    SiluGate,
}

impl Then {
    /// Columns that a panel gives to the output.
    pub(crate) const fn columns_per_panel(self) -> usize {
        match self {
            Then::SiluGate => HALF,
            Then::Store | Then::Add | Then::GeluTanh | Then::Gelu => PANEL,
        }
    }
}

impl Epilogue<'_> {
    /// Finishes one row of panel `panel`: `sums` are its products, `out` the places where its results go (fewer than a
    /// panel has at the right edge).
    #[inline(always)]
    pub(crate) fn finish(&self, panel: usize, mut sums: [f32; PANEL], out: &mut [f32]) {
        if let Some(bias) = self.bias {
            for (sum, bias) in sums.iter_mut().zip(bias.iter().skip(panel * PANEL)) {
                *sum += bias;
            }
        }
        match self.then {
            Then::Store => match out.first_chunk_mut::<PANEL>() {
                Some(out) => *out = sums,
                None => out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum),
            },
            Then::Add => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
            Then::GeluTanh => out
                .iter_mut()
                .zip(sums)
                .for_each(|(out, sum)| *out = gelu_tanh(sum)),
            Then::Gelu => out
                .iter_mut()
                .zip(sums)
                .for_each(|(out, sum)| *out = gelu(sum)),
            Then::SiluGate => {
                let mut gated = [0.0; HALF];
                let (gate, up) = sums.split_at(HALF);
                for ((gated, gate), up) in gated.iter_mut().zip(gate).zip(up) {
                    *gated = silu(*gate) * up;
                }
                out.iter_mut()
                    .zip(gated)
                    .for_each(|(out, gated)| *out = gated);
            }
        }
    }
}
