//! The CPU's own kernels behind the names of [`Kernels`].

use burn::tensor::Tensor;

use super::{
    Continued, Heads, HostMatrix, Kernels, Placement, Then, Weight,
    cpu::{ops, past::LayerPast},
};
use crate::{
    device::{Backend, Device, HostView, host_view},
    packed::PackedTokens,
};

/// Kernels on host memory: vectors and threads, and one order of operations whatever the batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

impl Kernels for Native {
    const REUSES_MEMORY: bool = true;

    type Backend = Backend;
    type Dense = ops::Dense;
    type Matrix = ops::Matrix;
    type Vector = ops::Vector;
    type Table = ops::Table;
    type Rotation = ops::Rotation;
    type LayerPast = LayerPast;
    type Scratch = ops::AttentionScratch;

    fn matrix(host: &HostMatrix, place: Placement<'_>) -> Self::Matrix {
        ops::Matrix::new(host, place)
    }

    fn gated(gate: &HostMatrix, up: &HostMatrix, place: Placement<'_>) -> Self::Matrix {
        ops::Matrix::gated(gate, up, place)
    }

    fn vector(values: Vec<f32>, place: Placement<'_>) -> Self::Vector {
        ops::Vector::new(values, place)
    }

    fn table(values: Vec<f32>, width: usize, place: Placement<'_>) -> Self::Table {
        ops::Table::new(values, width, place)
    }

    fn rotation(cos: Vec<f32>, sin: Vec<f32>, half: usize, device: &Device) -> Self::Rotation {
        ops::Rotation::new(cos, sin, half, device)
    }

    fn layer_past(heads: Heads, capacity: usize) -> Self::LayerPast {
        LayerPast::new(heads, capacity)
    }

    fn copy_front(from: &Self::LayerPast, tokens: usize, to: &mut Self::LayerPast) {
        to.copy_front(from, tokens);
    }

    fn dense(tensor: &Tensor<Self::Backend, 2>) -> Self::Dense {
        ops::Dense::from_tensor(tensor)
    }

    fn tensor(x: &Self::Dense, device: &Device) -> Tensor<Self::Backend, 2> {
        x.to_tensor(device)
    }

    fn host(tensor: &Tensor<Self::Backend, 2>) -> HostView {
        host_view(tensor)
    }

    fn pick(x: &Self::Dense, rows: &[usize], out: &mut Self::Dense) {
        x.pick(rows, out);
    }

    fn product(x: &Self::Dense, matrix: &Self::Matrix, then: Then, out: &mut Self::Dense) {
        matrix.product(x, then, out);
    }

    fn lookup(table: &Self::Table, numbers: &[u32], out: &mut Self::Dense) {
        table.lookup(numbers, out);
    }

    fn lookup_add(table: &Self::Table, numbers: &[u32], out: &mut Self::Dense) {
        table.lookup_add(numbers, out);
    }

    fn unembed(x: &Self::Dense, table: &Self::Table, device: &Device) -> Tensor<Self::Backend, 2> {
        table.unembed(x, device)
    }

    fn add(x: &Self::Dense, out: &mut Self::Dense) {
        ops::add(x, out);
    }

    fn rms_norm(x: &Self::Dense, weight: &Self::Vector, eps: f32, out: &mut Self::Dense) {
        ops::rms_norm(x, weight, eps, out);
    }

    fn layer_norm(
        x: &Self::Dense,
        weights: (&Self::Vector, &Self::Vector),
        eps: f32,
        out: &mut Self::Dense,
    ) {
        ops::layer_norm(x, weights, eps, out);
    }

    fn attention(
        qkv: &Self::Dense,
        setting: (Heads, Option<&Self::Rotation>),
        tokens: &PackedTokens,
        scratch: &mut Self::Scratch,
        out: &mut Self::Dense,
    ) {
        ops::attention(qkv, setting, tokens, scratch, out);
    }

    fn full_attention(
        qkv: &Self::Dense,
        heads: Heads,
        tokens: &PackedTokens,
        scratch: &mut Self::Scratch,
        out: &mut Self::Dense,
    ) {
        ops::full_attention(qkv, heads, tokens, scratch, out);
    }

    fn attention_past(
        qkv: &Self::Dense,
        setting: (Heads, Option<&Self::Rotation>),
        tokens: &PackedTokens,
        sequences: &mut [Continued<'_, Self::LayerPast>],
        out: &mut Self::Dense,
    ) {
        ops::attention_past(qkv, setting, tokens, sequences, out);
    }
}

impl Weight for ops::Matrix {
    fn bytes(&self) -> usize {
        self.bytes()
    }
}

impl Weight for ops::Vector {
    fn bytes(&self) -> usize {
        self.bytes()
    }
}

impl Weight for ops::Table {
    fn bytes(&self) -> usize {
        self.bytes()
    }
}
