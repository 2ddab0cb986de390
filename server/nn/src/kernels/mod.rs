//! The operations that layers are made of, once for each kind of device.
//!
//! [`cpu`] holds kernels on host memory, the portable module the same operations as burn's. This is the one place that
//! decides between them: layers see one set of names. Both are held to each other by tests.

#[cfg_attr(
    all(feature = "cuda", not(test)),
    expect(
        dead_code,
        reason = "layers run on the GPU there; products on the host stay"
    )
)]
pub mod cpu;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod portable;
#[cfg(any(test, feature = "cuda"))]
mod portable_past;

#[cfg(not(feature = "cuda"))]
pub(crate) use cpu::ops::{
    AttentionScratch, Dense, Matrix, Rotation, Table, Vector, add, attention, attention_past,
    full_attention, layer_norm, rms_norm,
};
#[cfg(not(feature = "cuda"))]
pub(crate) use cpu::past::{Continued, LayerPast};
#[cfg(feature = "cuda")]
pub(crate) use portable::{
    AttentionScratch, Dense, Matrix, Rotation, Table, Vector, add, attention, full_attention,
    layer_norm, rms_norm,
};
#[cfg(feature = "cuda")]
pub(crate) use portable_past::{Continued, LayerPast, attention_past};

pub use cpu::{Layout, Then};
use latentd_domain::Dtype;

use crate::device::Device;

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
