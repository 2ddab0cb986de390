//! The operations that layers are made of, once for each kind of device.
//!
//! Layers are generic over [`Kernels`]. [`Native`] is the CPU's own, on host memory ([`cpu`]); [`Portable`] the same
//! operations as burn's, on any of its backends that runs on this build's device, also one that records how to differentiate.
//! Both are held to each other by tests, and whole models on both to the goldens.

#[cfg_attr(
    all(feature = "cuda", not(test)),
    expect(
        dead_code,
        unreachable_pub,
        reason = "layers run on the GPU there; products on the host stay"
    )
)]
pub mod cpu;
#[cfg(any(test, not(feature = "cuda")))]
mod native;
pub(crate) mod portable;

use std::fmt::Debug;

use burn::tensor::Tensor;
pub use cpu::{Layout, Then};
use latentd_domain::Dtype;
#[cfg(any(test, not(feature = "cuda")))]
pub use native::Native;
pub use portable::Portable;

use crate::{
    device::{Device, DeviceBackend, HostView},
    packed::PackedTokens,
};

/// What models of this build compute with, unless they are asked for more than values.
#[cfg(not(feature = "cuda"))]
pub type Chosen = Native;
/// What models of this build compute with, unless they are asked for more than values.
#[cfg(feature = "cuda")]
pub type Chosen = Portable<crate::device::Backend>;

/// The operations that layers are made of, and what they work on.
///
/// Layers are written once, for every implementation. Each has concrete code of its own below, so that being generic costs
/// neither time nor much code.
pub trait Kernels: Clone + Debug + Default + Send + Sync + 'static {
    /// Whether the memory of a pass serves the next one. Where it is the device's business, nothing is kept.
    const REUSES_MEMORY: bool;

    /// The backend whose tensors go in and come out.
    type Backend: DeviceBackend;
    /// Rows of one width, `[rows, width]`: the intermediate results of a pass.
    type Dense: Debug + Default + Send + Sync;
    /// A weight matrix with its bias.
    type Matrix: Weight;
    /// A vector of weights.
    type Vector: Weight;
    /// Rows that are looked up by number; also a matrix when logits are computed.
    type Table: Weight;
    /// Cosines and sines of rotary positions.
    type Rotation: Clone + Debug + Send + Sync;
    /// Keys and values of one sequence in one layer.
    type LayerPast: Debug + Send + Sync;
    /// Memory that attention keeps between layers.
    type Scratch: Debug + Default + Send + Sync;

    /// A matrix for every [`Then`] but [`Then::SiluGate`].
    fn matrix(host: &HostMatrix, place: Placement<'_>) -> Self::Matrix;
    /// Two matrices of one shape for [`Then::SiluGate`].
    fn gated(gate: &HostMatrix, up: &HostMatrix, place: Placement<'_>) -> Self::Matrix;
    /// A vector from host values.
    fn vector(values: Vec<f32>, place: Placement<'_>) -> Self::Vector;
    /// A table from `[rows, width]` host values.
    fn table(values: Vec<f32>, width: usize, place: Placement<'_>) -> Self::Table;
    /// Angles from `[positions, half]` values each.
    fn rotation(cos: Vec<f32>, sin: Vec<f32>, half: usize, device: &Device) -> Self::Rotation;
    /// An empty past with room for `capacity` tokens.
    fn layer_past(heads: Heads, capacity: usize) -> Self::LayerPast;
    /// `to` takes the first `tokens` tokens of `from` over.
    fn copy_front(from: &Self::LayerPast, tokens: usize, to: &mut Self::LayerPast);

    /// Rows from a tensor.
    fn dense(tensor: &Tensor<Self::Backend, 2>) -> Self::Dense;
    /// A tensor of the same values.
    fn tensor(x: &Self::Dense, device: &Device) -> Tensor<Self::Backend, 2>;
    /// The values of a tensor on the host.
    fn host(tensor: &Tensor<Self::Backend, 2>) -> HostView;
    /// `out[i]` is row `rows[i]`.
    fn pick(x: &Self::Dense, rows: &[usize], out: &mut Self::Dense);

    /// `x · matrix + bias`, and what `then` says. With [`Then::Add`] `out` has the shape of the result already.
    fn product(x: &Self::Dense, matrix: &Self::Matrix, then: Then, out: &mut Self::Dense);
    /// `out[i]` is row `numbers[i]`. Callers check numbers from outside.
    fn lookup(table: &Self::Table, numbers: &[u32], out: &mut Self::Dense);
    /// `out[i] += row numbers[i]`. Callers check numbers from outside.
    fn lookup_add(table: &Self::Table, numbers: &[u32], out: &mut Self::Dense);
    /// `x · tableᵀ`, `[n, rows]`.
    fn unembed(x: &Self::Dense, table: &Self::Table, device: &Device) -> Tensor<Self::Backend, 2>;
    /// `out += x`.
    fn add(x: &Self::Dense, out: &mut Self::Dense);
    /// `out = x / √(mean(x²) + eps) · weight`, row by row.
    fn rms_norm(x: &Self::Dense, weight: &Self::Vector, eps: f32, out: &mut Self::Dense);
    /// `out = (x - mean(x)) / √(var(x) + eps) · weight + bias`, row by row, with the biased variance.
    fn layer_norm(
        x: &Self::Dense,
        weights: (&Self::Vector, &Self::Vector),
        eps: f32,
        out: &mut Self::Dense,
    );
    /// Causal attention: the heads' outputs, `[tokens, heads.z_width()]`, for queries, keys and values side by side,
    /// `[tokens, heads.qkv_width()]`. Queries and keys are rotated by their positions first.
    fn attention(
        qkv: &Self::Dense,
        setting: (Heads, Option<&Self::Rotation>),
        tokens: &PackedTokens,
        scratch: &mut Self::Scratch,
        out: &mut Self::Dense,
    );
    /// Attention of every token to every other of its sequence, and no positions.
    fn full_attention(
        qkv: &Self::Dense,
        heads: Heads,
        tokens: &PackedTokens,
        scratch: &mut Self::Scratch,
        out: &mut Self::Dense,
    );
    /// As [`Kernels::attention`], for sequences that go on: the new tokens' keys and values are added to what is kept, and
    /// each new token sees all that came before it. One of `sequences` for each of `tokens`.
    fn attention_past(
        qkv: &Self::Dense,
        setting: (Heads, Option<&Self::Rotation>),
        tokens: &PackedTokens,
        sequences: &mut [Continued<'_, Self::LayerPast>],
        out: &mut Self::Dense,
    );
}

/// What is loaded once and kept.
pub trait Weight: Debug + Send + Sync {
    /// Bytes of memory on the device.
    fn bytes(&self) -> usize;
}

/// A sequence that goes on: what is kept of it in one layer, and how many tokens it has had.
#[derive(Debug)]
pub struct Continued<'a, P> {
    /// Keys and values.
    pub past: &'a mut P,
    /// Tokens so far.
    pub length: usize,
}

/// The heads of an attention layer. Query head `h` reads key and value head `h / (n_heads / n_kv_heads)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads; a multiple of `n_kv_heads`.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub d_head: usize,
}

impl Heads {
    /// Width of queries, keys and values side by side.
    pub const fn qkv_width(self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.d_head
    }

    /// Width of the queries, and of the heads' outputs.
    pub const fn z_width(self) -> usize {
        self.n_heads * self.d_head
    }

    /// Width of the keys, and of the values.
    pub const fn kv_width(self) -> usize {
        self.n_kv_heads * self.d_head
    }
}

/// Where weights go, and in which number format.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// The device.
    pub device: &'a Device,
    /// Number format of matrices. The residual stream is f32 always.
    pub dtype: Dtype,
}

/// A weight on the host: `[inputs, outputs]`, laid out as `layout` says, and its bias.
#[derive(Clone, Debug)]
pub struct HostMatrix {
    /// `inputs · outputs` values.
    pub weight: Vec<f32>,
    /// `outputs` values.
    pub bias: Option<Vec<f32>>,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// Which of the two is the outer dimension.
    pub layout: Layout,
}
