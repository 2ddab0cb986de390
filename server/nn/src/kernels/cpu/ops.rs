//! The operations of layers on host memory, under the names that layers use.

use std::sync::Arc;

use rayon::prelude::*;

use super::{
    Epilogue, Layout, PackedMatrix, Then,
    attention::{self as kernel, Angles},
    norm,
    past::{self, LayerPast},
};
use crate::{
    device::{Device, HostView, Tensor, host_view},
    kernels::{Continued, Heads, HostMatrix, Placement},
    packed::PackedTokens,
};

/// Rows of a table that are worth a task of their own.
const ROWS_A_TASK: usize = 64;

/// Rows of one width, `[rows, width]`: the intermediate results of a pass. Assigning a new shape keeps the memory.
#[derive(Debug, Default)]
pub struct Dense {
    /// At least `rows · width` values; what is beyond is kept for later.
    memory: Vec<f32>,
    rows: usize,
    width: usize,
}

impl Dense {
    /// From a tensor.
    pub(crate) fn from_tensor(tensor: &Tensor<2>) -> Self {
        let [rows, width] = tensor.dims();
        let view: HostView = host_view(tensor);
        Self {
            memory: view.values().to_vec(),
            rows,
            width,
        }
    }

    /// A tensor of the same values.
    pub(crate) fn to_tensor(&self, device: &Device) -> Tensor<2> {
        device.from_host(self.values().to_vec(), [self.rows, self.width])
    }

    /// `out[i]` is row `rows[i]`.
    pub(crate) fn pick(&self, rows: &[usize], out: &mut Self) {
        let width = self.width;
        let out = out.shaped(rows.len(), width);
        for (out, row) in out.chunks_exact_mut(width.max(1)).zip(rows) {
            if let Some(values) = self.values().get(row * width..(row + 1) * width) {
                out.copy_from_slice(values);
            }
        }
    }

    fn values(&self) -> &[f32] {
        self.memory
            .get(..self.rows * self.width)
            .unwrap_or_default()
    }

    fn values_mut(&mut self) -> &mut [f32] {
        self.memory
            .get_mut(..self.rows * self.width)
            .unwrap_or_default()
    }

    /// Gives it a shape; the values are whatever the memory holds.
    fn shaped(&mut self, rows: usize, width: usize) -> &mut [f32] {
        (self.rows, self.width) = (rows, width);
        if self.memory.len() < rows * width {
            self.memory.resize(rows * width, 0.0);
        }
        self.values_mut()
    }
}

/// A weight matrix with its bias.
#[derive(Debug)]
pub struct Matrix {
    packed: PackedMatrix,
    bias: Option<Vec<f32>>,
}

impl Matrix {
    /// A matrix for every [`Then`] but [`Then::SiluGate`].
    pub(crate) fn new(host: &HostMatrix, _place: Placement<'_>) -> Self {
        let packed = PackedMatrix::pack(&host.weight, host.inputs, host.outputs, host.layout);
        Self {
            packed,
            bias: host.bias.clone(),
        }
    }

    /// Two matrices of one shape for [`Then::SiluGate`].
    pub(crate) fn gated(gate: &HostMatrix, up: &HostMatrix, _place: Placement<'_>) -> Self {
        let packed = PackedMatrix::pack_gated(&gate.weight, &up.weight, gate.inputs, gate.layout);
        let bias = gate.bias.as_deref().zip(up.bias.as_deref());
        Self {
            packed,
            bias: bias.map(|(gate, up)| PackedMatrix::pack_gated_bias(gate, up)),
        }
    }

    /// `x · W + b`, and what `then` says. With [`Then::Add`] `out` has the shape of the result already.
    pub(crate) fn product(&self, x: &Dense, then: Then, out: &mut Dense) {
        let epilogue = Epilogue {
            bias: self.bias.as_deref(),
            then,
        };
        let out = out.shaped(x.rows, self.packed.n());
        self.packed.matmul(x.values(), epilogue, out);
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.packed.bytes() + self.bias.as_ref().map_or(0, |bias| size_of_val(&**bias))
    }
}

/// A vector of weights.
#[derive(Debug)]
pub struct Vector(Vec<f32>);

impl Vector {
    /// From host values.
    pub(crate) fn new(values: Vec<f32>, _place: Placement<'_>) -> Self {
        Self(values)
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// Rows that are looked up by number; also a matrix, `[width, rows]`, when logits are computed.
///
/// It is kept as the matrix. A look-up then touches a cache line for each element, which is a hundredth of what a token costs
/// in a forward pass; rearranging rows for each product would double what a step of generation costs.
#[derive(Debug)]
pub struct Table {
    columns: PackedMatrix,
}

impl Table {
    /// From `[rows, width]` host values.
    pub(crate) fn new(values: Vec<f32>, width: usize, _place: Placement<'_>) -> Self {
        let rows = values.len() / width.max(1);
        Self {
            columns: PackedMatrix::pack(&values, width, rows, Layout::OutIn),
        }
    }

    /// `out[i]` is row `numbers[i]`.
    ///
    /// # Panics
    ///
    /// If there is no such row: callers check numbers from outside.
    pub(crate) fn lookup(&self, numbers: &[u32], out: &mut Dense) {
        let out = out.shaped(numbers.len(), self.columns.k());
        self.each(numbers, out, |out, value| *out = value);
    }

    /// `out[i] += row numbers[i]`.
    ///
    /// # Panics
    ///
    /// As [`Table::lookup`].
    pub(crate) fn lookup_add(&self, numbers: &[u32], out: &mut Dense) {
        self.each(numbers, out.values_mut(), |out, value| *out += value);
    }

    fn each(&self, numbers: &[u32], out: &mut [f32], with: impl Fn(&mut f32, f32) + Sync) {
        out.par_chunks_exact_mut(self.columns.k().max(1))
            .with_min_len(ROWS_A_TASK)
            .zip(numbers)
            .for_each(|(out, &number)| {
                let row = self.columns.column(self.checked(number));
                out.iter_mut()
                    .zip(row)
                    .for_each(|(out, value)| with(out, value));
            });
    }

    /// `x · tableᵀ`, `[n, rows]`.
    pub(crate) fn unembed(&self, x: &Dense, device: &Device) -> Tensor<2> {
        let n = self.columns.n();
        let mut out = vec![0.0; x.rows * n];
        self.columns
            .matmul(x.values(), Epilogue::default(), &mut out);
        device.from_host(out, [x.rows, n])
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.bytes()
    }

    fn checked(&self, number: u32) -> usize {
        let number = number as usize;
        if number < self.columns.n() {
            number
        } else {
            unreachable_row(number)
        }
    }
}

#[expect(
    clippy::panic,
    reason = "numbers from outside are checked before a pass begins"
)]
fn unreachable_row(number: usize) -> ! {
    panic!("row {number} lies outside the table")
}

/// Cosines and sines of rotary positions.
#[derive(Clone, Debug)]
pub struct Rotation(Arc<Angles>);

impl Rotation {
    /// From `[positions, d_head / 2]` values each.
    pub(crate) fn new(cos: Vec<f32>, sin: Vec<f32>, _half: usize, _device: &Device) -> Self {
        Self(Arc::new(Angles { cos, sin }))
    }
}

/// Memory that attention keeps between layers.
#[derive(Debug, Default)]
pub struct AttentionScratch(kernel::Scratch);

/// See [`kernel::attention`].
pub(crate) fn attention(
    qkv: &Dense,
    (heads, rotation): (Heads, Option<&Rotation>),
    tokens: &PackedTokens,
    scratch: &mut AttentionScratch,
    out: &mut Dense,
) {
    let out = out.shaped(qkv.rows, heads.z_width());
    let angles = rotation.map(|rotation| &*rotation.0);
    kernel::attention(qkv.values(), (heads, angles), tokens, &mut scratch.0, out);
}

/// See [`kernel::full_attention`].
pub(crate) fn full_attention(
    qkv: &Dense,
    heads: Heads,
    tokens: &PackedTokens,
    scratch: &mut AttentionScratch,
    out: &mut Dense,
) {
    let out = out.shaped(qkv.rows, heads.z_width());
    kernel::full_attention(qkv.values(), heads, tokens, &mut scratch.0, out);
}

/// See [`past::attention_past`].
pub(crate) fn attention_past(
    qkv: &Dense,
    (heads, rotation): (Heads, Option<&Rotation>),
    tokens: &PackedTokens,
    sequences: &mut [Continued<'_, LayerPast>],
    out: &mut Dense,
) {
    let out = out.shaped(qkv.rows, heads.z_width());
    let angles = rotation.map(|rotation| &*rotation.0);
    past::attention_past(qkv.values(), (heads, angles), tokens, sequences, out);
}

/// `out += x`.
pub(crate) fn add(x: &Dense, out: &mut Dense) {
    norm::each_row(x.values(), x.width, out.values_mut(), |x, out| {
        for (out, x) in out.iter_mut().zip(x) {
            *out += x;
        }
    });
}

/// See [`norm::rms_norm`].
pub(crate) fn rms_norm(x: &Dense, weight: &Vector, eps: f32, out: &mut Dense) {
    let out = out.shaped(x.rows, x.width);
    norm::rms_norm(x.values(), &weight.0, eps, out);
}

/// See [`norm::layer_norm`].
pub(crate) fn layer_norm(x: &Dense, (weight, bias): (&Vector, &Vector), eps: f32, out: &mut Dense) {
    let out = out.shaped(x.rows, x.width);
    norm::layer_norm(x.values(), (&weight.0, &bias.0), eps, out);
}
