//! Kernels for the CPU, on host memory: vectors through `pulp`, threads through rayon, no `unsafe`.

mod aligned;
mod attention;
mod block;
mod epilogue;
mod gemm;
mod math;
mod microkernel;
mod norm;
pub(crate) mod ops;
mod packed_matrix;
pub(crate) mod past;
mod rows;

pub use epilogue::{Epilogue, Then};
pub(crate) use math::exp;
pub use packed_matrix::{Layout, PackedMatrix};
pub use rows::PackedRows;
