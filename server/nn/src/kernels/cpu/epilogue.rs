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
            Then::Store => store(sums, out),
            Then::Add => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
            // Loops over whole panels, with no closure between them and the function: a call would leave the vector code.
            Then::GeluTanh => {
                for sum in &mut sums {
                    *sum = gelu_tanh(*sum);
                }
                store(sums, out);
            }
            Then::Gelu => {
                for sum in &mut sums {
                    *sum = gelu(*sum);
                }
                store(sums, out);
            }
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

/// Writes a row of a panel, or what of it lies before the right edge.
#[inline(always)]
fn store(values: [f32; PANEL], out: &mut [f32]) {
    match out.first_chunk_mut::<PANEL>() {
        Some(out) => *out = values,
        None => out
            .iter_mut()
            .zip(values)
            .for_each(|(out, value)| *out = value),
    }
}
