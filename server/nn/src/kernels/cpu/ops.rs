//! The operations of layers on host memory, under the names that layers use.

use std::sync::Arc;

use super::{
    Epilogue, PackedMatrix, Then,
    attention::{self as kernel, Angles},
    gemm, norm,
};
use crate::{
    device::{Device, HostView, Tensor, host_view},
    kernels::{Heads, HostMatrix, Placement},
    packed::PackedTokens,
};

/// Rows of one width, `[rows, width]`: the intermediate results of a pass. Assigning a new shape keeps the memory.
#[derive(Debug, Default)]
pub(crate) struct Dense {
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
pub(crate) struct Matrix {
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
pub(crate) struct Vector(Vec<f32>);

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

/// Rows that are looked up by number; also a matrix, `[width, rows]`, when logits are computed from tied embeddings.
#[derive(Debug)]
pub(crate) struct Table {
    values: Vec<f32>,
    width: usize,
}

impl Table {
    /// From `[rows, width]` host values.
    pub(crate) fn new(values: Vec<f32>, width: usize, _place: Placement<'_>) -> Self {
        Self { values, width }
    }

    /// `out[i]` is row `numbers[i]`.
    ///
    /// # Panics
    ///
    /// If there is no such row: callers check numbers from outside.
    pub(crate) fn lookup(&self, numbers: &[u32], out: &mut Dense) {
        let out = out.shaped(numbers.len(), self.width);
        for (out, &number) in out.chunks_exact_mut(self.width).zip(numbers) {
            out.copy_from_slice(self.row(number));
        }
    }

    /// `out[i] += row numbers[i]`.
    ///
    /// # Panics
    ///
    /// As [`Table::lookup`].
    pub(crate) fn lookup_add(&self, numbers: &[u32], out: &mut Dense) {
        for (out, &number) in out.values_mut().chunks_exact_mut(self.width).zip(numbers) {
            for (out, value) in out.iter_mut().zip(self.row(number)) {
                *out += value;
            }
        }
    }

    /// `x · tableᵀ`, `[n, rows]`.
    pub(crate) fn unembed(&self, x: &Dense, device: &Device) -> Tensor<2> {
        let n = self.values.len() / self.width;
        let mut out = vec![0.0; x.rows * n];
        gemm::matmul_rows(x.values(), &self.values, self.width, &mut out);
        device.from_host(out, [x.rows, n])
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.values)
    }

    fn row(&self, number: u32) -> &[f32] {
        let start = number as usize * self.width;
        self.values
            .get(start..start + self.width)
            .unwrap_or_else(|| unreachable_row(number))
    }
}

#[expect(
    clippy::panic,
    reason = "numbers from outside are checked before a pass begins"
)]
fn unreachable_row(number: u32) -> ! {
    panic!("row {number} lies outside the table")
}

/// Cosines and sines of rotary positions.
#[derive(Clone, Debug)]
pub(crate) struct Rotation(Arc<Angles>);

impl Rotation {
    /// From `[positions, d_head / 2]` values each.
    pub(crate) fn new(cos: Vec<f32>, sin: Vec<f32>, _half: usize, _device: &Device) -> Self {
        Self(Arc::new(Angles { cos, sin }))
    }
}

/// Memory that attention keeps between layers.
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch(kernel::Scratch);

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
