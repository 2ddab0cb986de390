//! GGUF's block quantizations, and their conversion to `f32`.
//!
//! A quantized tensor is a row of blocks of 32 or 256 weights, each with its own scale. The formulas are those of ggml
//! (`ggml-quants.c`, `dequantize_row_*`; layouts in `ggml-common.h`, <https://github.com/ggml-org/ggml>), computed in `f32`
//! in the same order, so that results are equal to the last bit.

mod k;
mod legacy;

use half::f16;
use rayon::prelude::*;

/// Blocks that one thread converts at a time.
const CHUNK: usize = 512;

/// Weights in a block of the older quantizations.
const SMALL: usize = 32;
/// Weights in a block of the k-quantizations.
const SUPER: usize = 256;

/// A block quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the names that ggml gives them")]
pub(crate) enum Quantization {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl Quantization {
    /// The quantization with this number in `enum ggml_type`.
    pub(crate) fn from_ggml(number: u32) -> Option<Self> {
        Some(match number {
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            10 => Self::Q2_K,
            11 => Self::Q3_K,
            12 => Self::Q4_K,
            13 => Self::Q5_K,
            14 => Self::Q6_K,
            _ => return None,
        })
    }

    /// ggml's name, in lower case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
            Self::Q2_K => "q2_k",
            Self::Q3_K => "q3_k",
            Self::Q4_K => "q4_k",
            Self::Q5_K => "q5_k",
            Self::Q6_K => "q6_k",
        }
    }

    /// Weights and bytes of one block.
    pub(crate) const fn block(self) -> (usize, usize) {
        match self {
            Self::Q4_0 => (SMALL, 18),
            Self::Q4_1 => (SMALL, 20),
            Self::Q5_0 => (SMALL, 22),
            Self::Q5_1 => (SMALL, 24),
            Self::Q8_0 => (SMALL, 34),
            Self::Q2_K => (SUPER, 84),
            Self::Q3_K => (SUPER, 110),
            Self::Q4_K => (SUPER, 144),
            Self::Q5_K => (SUPER, 176),
            Self::Q6_K => (SUPER, 210),
        }
    }

    /// The `elements` weights of `bytes`, or `None` if these are not whole blocks of as many weights.
    pub(crate) fn dequantize(self, bytes: &[u8], elements: usize) -> Option<Vec<f32>> {
        match self {
            Self::Q4_0 => blocks(bytes, elements, legacy::q4_0),
            Self::Q4_1 => blocks(bytes, elements, legacy::q4_1),
            Self::Q5_0 => blocks(bytes, elements, legacy::q5_0),
            Self::Q5_1 => blocks(bytes, elements, legacy::q5_1),
            Self::Q8_0 => blocks(bytes, elements, legacy::q8_0),
            Self::Q2_K => blocks(bytes, elements, k::q2_k),
            Self::Q3_K => blocks(bytes, elements, k::q3_k),
            Self::Q4_K => blocks(bytes, elements, k::q4_k),
            Self::Q5_K => blocks(bytes, elements, k::q5_k),
            Self::Q6_K => blocks(bytes, elements, k::q6_k),
        }
    }
}

/// Converts blocks in parallel.
fn blocks<const BYTES: usize, const WEIGHTS: usize>(
    bytes: &[u8],
    elements: usize,
    block: fn(&[u8; BYTES], &mut [f32; WEIGHTS]),
) -> Option<Vec<f32>> {
    let (stored, rest) = bytes.as_chunks::<BYTES>();
    if !rest.is_empty() || stored.len().checked_mul(WEIGHTS) != Some(elements) {
        return None;
    }
    let mut out = vec![0.0; elements];
    let (weights, _) = out.as_chunks_mut::<WEIGHTS>();
    weights
        .par_chunks_mut(CHUNK)
        .zip(stored.par_chunks(CHUNK))
        .for_each(|(weights, stored)| {
            for (weights, stored) in weights.iter_mut().zip(stored) {
                block(stored, weights);
            }
        });
    Some(out)
}

/// The half-precision number at `at`.
#[expect(
    clippy::indexing_slicing,
    reason = "blocks are arrays, and every offset is a constant of their layout"
)]
fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of `enum ggml_type` that are supported.
    const NUMBERS: [u32; 10] = [2, 3, 6, 7, 8, 10, 11, 12, 13, 14];

    #[test]
    fn every_block_is_as_long_as_its_converter_reads() {
        for quantization in NUMBERS.map(|number| Quantization::from_ggml(number).unwrap()) {
            let (weights, bytes) = quantization.block();
            let out = quantization
                .dequantize(&vec![0; 3 * bytes], 3 * weights)
                .unwrap();
            assert_eq!(out, vec![0.0; 3 * weights], "{}", quantization.name());
            assert_eq!(
                quantization.dequantize(&vec![0; 3 * bytes - 1], 3 * weights),
                None
            );
            assert_eq!(
                quantization.dequantize(&vec![0; 3 * bytes], 3 * weights + 1),
                None
            );
        }
        assert_eq!(Quantization::from_ggml(9), None);
    }

    /// `tests/reference/quantizations.py` makes the golden with the Python package `gguf`.
    #[test]
    fn weights_are_those_of_ggml_to_the_last_bit() {
        let file = fs_err::read(crate::weights::golden::path(
            "models/quantizations.safetensors",
        ))
        .unwrap();
        let golden = safetensors::SafeTensors::deserialize(&file).unwrap();
        for quantization in NUMBERS.map(|number| Quantization::from_ggml(number).unwrap()) {
            let name = quantization.name();
            let blocks = golden.tensor(&format!("{name}.blocks")).unwrap();
            let expected = golden.tensor(&format!("{name}.weights")).unwrap();
            let elements = expected.shape().iter().product();
            let found = quantization.dequantize(blocks.data(), elements).unwrap();
            assert_eq!(
                bytemuck::cast_slice::<f32, u8>(&found),
                expected.data(),
                "{name}"
            );
        }
    }
}
