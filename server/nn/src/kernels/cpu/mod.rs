//! Kernels for the CPU, on host memory: vectors through `pulp`, threads through rayon, no `unsafe`.

mod aligned;
mod epilogue;
mod gemm;
mod math;
mod microkernel;
mod rows;

pub use epilogue::{Epilogue, Then};
pub use gemm::{Layout, PackedMatrix};
pub use rows::PackedRows;
