//! How the numbers of a stored tensor are written, and their conversion to `f32`.

use std::ops::Range;

use half::{bf16, f16};
use rayon::prelude::*;

use super::{file::WeightFile, gguf::quant::Quantization};
use crate::error::LoadError;

/// Elements that one thread converts at a time.
const CHUNK: usize = 1 << 16;
/// Bytes of a tensor that are read at once.
const PIECE: usize = 1 << 20;

/// The number format of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// IEEE 754 single precision, little-endian.
    F32,
    /// IEEE 754 half precision, little-endian.
    F16,
    /// bfloat16, little-endian.
    Bf16,
    /// Blocks of a GGUF quantization.
    Quantized(Quantization),
    /// A format that cannot be converted, by the name that the file gives it: an error only if the tensor is needed.
    Other(String),
}

impl Encoding {
    /// Name as reports spell it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Quantized(quantization) => quantization.name(),
            Self::Other(name) => name,
        }
    }

    /// Elements and bytes of the smallest piece that can be converted alone; `None` for a format that cannot.
    fn block(&self) -> Option<(usize, usize)> {
        match self {
            Self::F32 => Some((1, 4)),
            Self::F16 | Self::Bf16 => Some((1, 2)),
            Self::Quantized(quantization) => Some(quantization.block()),
            Self::Other(_) => None,
        }
    }

    /// The `elements` numbers in `span` of `file`, or `None` if the format is not one that can be converted or the lengths do
    /// not agree. Pieces are read and converted in parallel, each straight into its place.
    pub(crate) fn read(
        &self,
        file: &WeightFile,
        span: &Range<usize>,
        elements: usize,
    ) -> Result<Option<Vec<f32>>, LoadError> {
        let Some((weights, bytes)) = self.block() else {
            return Ok(None);
        };
        let blocks = elements / weights;
        if !elements.is_multiple_of(weights) || blocks.checked_mul(bytes) != Some(span.len()) {
            return Ok(None);
        }
        let piece = (PIECE / bytes).max(1);
        let mut out = vec![0.0; elements];
        out.par_chunks_mut(piece * weights)
            .enumerate()
            .try_for_each(|(number, out)| {
                let at = span.start + number * piece * bytes;
                if *self == Self::F32 && cfg!(target_endian = "little") {
                    return file.read_at(at, bytemuck::cast_slice_mut(out));
                }
                let mut stored = vec![0; out.len() / weights * bytes];
                file.read_at(at, &mut stored)?;
                if let Some(numbers) = self.to_f32(&stored, out.len()) {
                    out.copy_from_slice(&numbers);
                }
                Ok(())
            })?;
        Ok(Some(out))
    }

    /// The `elements` numbers of `bytes`, or `None` if the format is not one that can be converted or the lengths do not
    /// agree.
    pub(crate) fn to_f32(&self, bytes: &[u8], elements: usize) -> Option<Vec<f32>> {
        match self {
            Self::F32 => convert(bytes, elements, f32::from_le_bytes),
            Self::F16 => convert(bytes, elements, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => convert(bytes, elements, |b| bf16::from_le_bytes(b).to_f32()),
            Self::Quantized(quantization) => quantization.dequantize(bytes, elements),
            Self::Other(_) => None,
        }
    }
}

/// Converts little-endian numbers of `WIDTH` bytes, in parallel.
fn convert<const WIDTH: usize>(
    bytes: &[u8],
    elements: usize,
    number: impl Fn([u8; WIDTH]) -> f32 + Sync,
) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<WIDTH>();
    if numbers.len() != elements || !rest.is_empty() {
        return None;
    }
    let mut out = vec![0.0; elements];
    out.par_chunks_mut(CHUNK)
        .zip(numbers.par_chunks(CHUNK))
        .for_each(|(out, numbers)| {
            for (out, &bytes) in out.iter_mut().zip(numbers) {
                *out = number(bytes);
            }
        });
    Some(out)
}

/// The first element that is NaN or infinite.
pub(crate) fn first_non_finite(values: &[f32]) -> Option<(usize, f32)> {
    let chunk = values
        .par_chunks(CHUNK)
        .position_first(|chunk| !chunk.iter().all(|v| v.is_finite()))?;
    let (index, &value) = values
        .iter()
        .enumerate()
        .skip(chunk * CHUNK)
        .find(|(_, v)| !v.is_finite())?;
    Some((index, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_converted_exactly() {
        let bytes: Vec<u8> = [1.5f32, -0.25, 65504.0]
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect();
        assert_eq!(
            Encoding::F16.to_f32(&bytes, 3).unwrap(),
            [1.5, -0.25, 65504.0]
        );
        let bytes: Vec<u8> = [1.5f32, -3.0]
            .iter()
            .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
            .collect();
        assert_eq!(Encoding::Bf16.to_f32(&bytes, 2).unwrap(), [1.5, -3.0]);
    }

    #[test]
    fn lengths_must_agree() {
        assert_eq!(Encoding::F32.to_f32(&[0; 7], 1), None);
        assert_eq!(Encoding::F32.to_f32(&[0; 8], 1), None);
        assert_eq!(Encoding::Other("I64".into()).to_f32(&[0; 8], 1), None);
    }

    #[test]
    fn the_first_non_finite_element_is_named() {
        let mut values = vec![0.0; 3 * CHUNK];
        assert_eq!(first_non_finite(&values), None);
        values[2 * CHUNK + 5] = f32::NEG_INFINITY;
        values[CHUNK + 7] = f32::INFINITY;
        assert_eq!(first_non_finite(&values), Some((CHUNK + 7, f32::INFINITY)));
    }
}
