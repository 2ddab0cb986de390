//! The header of a GGUF file, versions 2 and 3 (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): magic,
//! version, counts, metadata, tensor descriptions, then the data, aligned.

use std::{collections::BTreeMap, ops::Range};

use super::{cursor::Cursor, metadata::Metadata, quant::Quantization};
use crate::{error::shape, weights::encoding::Encoding};

/// First bytes of every file.
const MAGIC: [u8; 4] = *b"GGUF";
/// Most tensors that are read.
const MAX_TENSORS: u64 = 1 << 16;
/// Most dimensions of a tensor; ggml's own limit.
const MAX_DIMENSIONS: u32 = 4;
/// Alignment where the metadata does not say.
const DEFAULT_ALIGNMENT: u64 = 32;

/// A tensor, as the file describes it.
#[derive(Debug, PartialEq)]
pub(super) struct TensorInfo {
    /// Its dimensions, slowest first (the file has them fastest first).
    pub(super) shape: Vec<usize>,
    pub(super) encoding: Encoding,
    /// Its bytes, within the file; empty for an encoding that is not known.
    pub(super) span: Range<usize>,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: BTreeMap<String, TensorInfo>,
}

impl Header {
    /// Reads and checks the header of a file of `file_length` bytes that begins with `head`.
    pub(super) fn read(head: &[u8], file_length: usize) -> Result<Self, String> {
        let mut cursor = Cursor::new(head, 0);
        if cursor.u32()?.to_le_bytes() != MAGIC {
            return Err("it does not begin with `GGUF`".to_owned());
        }
        match cursor.u32()? {
            2 | 3 => {}
            version if matches!(version.swap_bytes(), 1..=3) => {
                return Err("it is big-endian, which is not supported".to_owned());
            }
            version => {
                return Err(format!(
                    "it has version {version}; supported are versions 2 and 3"
                ));
            }
        }
        let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
        if tensors > MAX_TENSORS {
            return Err(format!(
                "it declares {tensors} tensors, over the limit of {MAX_TENSORS}"
            ));
        }
        let metadata = Metadata::read(&mut cursor, entries)?;
        let alignment = metadata
            .unsigned("general.alignment")?
            .unwrap_or(DEFAULT_ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(format!(
                "its alignment of {alignment} is not a sensible power of two"
            ));
        }
        let raw = (0..tensors)
            .map(|_| RawTensor::read(&mut cursor))
            .collect::<Result<Vec<_>, _>>()?;
        let data_start = (cursor.at() as u64).next_multiple_of(alignment);

        let mut tensors = BTreeMap::new();
        for raw in raw {
            let info = raw
                .checked(data_start, alignment, file_length)
                .map_err(|detail| format!("the tensor `{}` {detail}", raw.name))?;
            if tensors.insert(raw.name.clone(), info).is_some() {
                return Err(format!("the tensor `{}` is there twice", raw.name));
            }
        }
        check_overlap(&tensors)?;
        Ok(Self { metadata, tensors })
    }
}

/// A tensor's description, not yet checked.
struct RawTensor {
    name: String,
    /// Fastest first.
    dimensions: Vec<u64>,
    ggml_type: u32,
    offset: u64,
}

impl RawTensor {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let name = cursor.string()?.to_owned();
        let dimensions = cursor.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(format!(
                "the tensor `{name}` has {dimensions} dimensions, over the limit of {MAX_DIMENSIONS}"
            ));
        }
        let dimensions = (0..dimensions)
            .map(|_| cursor.u64())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name,
            dimensions,
            ggml_type: cursor.u32()?,
            offset: cursor.u64()?,
        })
    }

    fn checked(
        &self,
        data_start: u64,
        alignment: u64,
        file_length: usize,
    ) -> Result<TensorInfo, String> {
        let elements = self
            .dimensions
            .iter()
            .try_fold(1u64, |product, &n| product.checked_mul(n));
        let elements = elements
            .ok_or_else(|| format!("has the impossible dimensions {}", shape(&self.dimensions)))?;
        if !self.offset.is_multiple_of(alignment) {
            return Err(format!(
                "begins at {}, which is not aligned to {alignment}",
                self.offset
            ));
        }
        let (encoding, block) = encoding_of(self.ggml_type);
        let bytes = match block {
            None => 0,
            Some((weights, bytes)) => {
                let row = self.dimensions.first().copied().unwrap_or(1);
                if !row.is_multiple_of(weights) {
                    let name = encoding.name();
                    return Err(format!(
                        "has rows of {row}, which is not a multiple of the {weights} of {name}"
                    ));
                }
                (elements / weights)
                    .checked_mul(bytes)
                    .ok_or_else(|| "is too large".to_owned())?
            }
        };
        let start = data_start.checked_add(self.offset);
        let end = start.and_then(|start| start.checked_add(bytes));
        match start.zip(end).filter(|&(_, end)| end <= file_length as u64) {
            Some((start, end)) => Ok(TensorInfo {
                shape: self.dimensions.iter().rev().map(|&n| n as usize).collect(),
                encoding,
                span: start as usize..end as usize,
            }),
            None => Err(format!(
                "needs {bytes} bytes and lies outside the file's {file_length}"
            )),
        }
    }
}

/// The encoding with this number in `enum ggml_type`, and the elements and bytes of one block.
fn encoding_of(ggml_type: u32) -> (Encoding, Option<(u64, u64)>) {
    match ggml_type {
        0 => (Encoding::F32, Some((1, 4))),
        1 => (Encoding::F16, Some((1, 2))),
        30 => (Encoding::Bf16, Some((1, 2))),
        other => match Quantization::from_ggml(other) {
            Some(quantization) => {
                let (weights, bytes) = quantization.block();
                (
                    Encoding::Quantized(quantization),
                    Some((weights as u64, bytes as u64)),
                )
            }
            None => (Encoding::Other(format!("ggml type {other}")), None),
        },
    }
}

/// No two tensors share a byte.
fn check_overlap(tensors: &BTreeMap<String, TensorInfo>) -> Result<(), String> {
    let mut in_order: Vec<_> = tensors
        .iter()
        .filter(|(_, info)| !info.span.is_empty())
        .collect();
    in_order.sort_by_key(|(_, info)| info.span.start);
    for ((before, first), (after, second)) in in_order.iter().zip(in_order.iter().skip(1)) {
        if first.span.end > second.span.start {
            return Err(format!("the data of `{before}` and `{after}` overlap"));
        }
    }
    Ok(())
}
