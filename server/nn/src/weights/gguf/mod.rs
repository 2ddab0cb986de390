//! GGUF files: llama.cpp's format, in which weights, configuration and tokenizer are one file.
//!
//! The header is read and checked once ([`header`]), names are translated to Hugging Face's by a table ([`names`]),
//! quantized weights become `f32` when they are taken ([`quant`]). What the converter rearranged is put back
//! ([`arrange`]), so that the families cannot tell which format a model came from.

mod config;
mod cursor;
mod header;
#[cfg(test)]
mod key_tests;
mod keys;
pub(crate) mod metadata;
mod names;
pub(crate) mod quant;
mod rope;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use header::Header;
use latentd_files::Interrupt;
use metadata::Metadata;
use rayon::prelude::*;

use super::{Checkpoint, Layout, ModelConfig, Stored, config::Refusal, file::WeightFile};
use crate::error::LoadError;

/// Bytes of a file that are looked at first for its header: enough for most.
const FIRST_HEAD: usize = 16 << 20;
/// Longest header that is read. The largest tokenizers in use take some 20 MB.
const MAX_HEAD: usize = 1 << 30;

/// An opened file.
#[derive(Debug)]
pub(crate) struct Gguf {
    pub(crate) config: ModelConfig,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) metadata: Metadata,
    /// The beginning of the file with all metadata, whose arrays lie there.
    pub(crate) head: Vec<u8>,
}

impl Gguf {
    /// Tensors that are a part of the configuration.
    pub(crate) const IS_READ_WITH_CONFIG: [&str; 1] = [rope::FACTORS];

    /// Opens a file and checks its header.
    pub(crate) fn open(path: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        let file = WeightFile::open(path, interrupt)?;
        let malformed = |detail| LoadError::MalformedGguf {
            path: path.to_owned(),
            detail,
        };
        let (head, header) = read_head(&file)?;
        let header = header.map_err(malformed)?;
        let rope_factors = |name: &str| {
            let info = header.tensors.get(name)?;
            let elements = info.shape.iter().product();
            info.encoding.read(&file, &info.span, elements).ok()?
        };
        let config = config::read(&header, &head, rope_factors)
            .map_err(|refusal: Refusal| refusal.at(path))?;

        let mut tensors = BTreeMap::new();
        for (name, info) in header.tensors {
            let (hugging_face, layout) =
                names::translate(&config, &name).unwrap_or((name, Layout::AsStored));
            let stored = Stored {
                file: 0,
                span: info.span,
                encoding: info.encoding,
                shape: info.shape,
                layout,
            };
            tensors.insert(hugging_face, stored.rearranged());
        }
        let checkpoint = Checkpoint {
            path: path.to_owned(),
            files: vec![file],
            tensors,
            taken: BTreeSet::new(),
        };
        Ok(Self {
            config,
            checkpoint,
            metadata: header.metadata,
            head,
        })
    }
}

/// What a file begins with, as much as its header takes, and the header. How long that is shows when it is read: more and more
/// is taken until it is enough.
fn read_head(file: &WeightFile) -> Result<(Vec<u8>, Result<Header, String>), LoadError> {
    let mut length = FIRST_HEAD;
    loop {
        let head = file.head(length)?;
        let header = Header::read(&head, file.length());
        if header.is_ok() || length >= file.length().min(MAX_HEAD) {
            return Ok((head, header));
        }
        length *= 4;
    }
}

impl Stored {
    /// With the shape that the tensor has once it is arranged.
    fn rearranged(mut self) -> Self {
        if self.layout == Layout::Transposed {
            self.shape.reverse();
        }
        self
    }
}

/// Puts the elements of a file into Hugging Face's order. `shape` is the shape after that.
pub(super) fn arrange(data: Vec<f32>, shape: &[usize], layout: Layout) -> Vec<f32> {
    match (layout, shape) {
        (Layout::Transposed, &[rows, columns]) => transposed(&data, rows, columns),
        (Layout::RopePairs { heads }, &[rows, ..]) => without_pairs(&data, rows, heads),
        _ => data,
    }
}

/// `[columns, rows]` as `[rows, columns]`.
fn transposed(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; data.len()];
    out.par_chunks_exact_mut(columns.max(1))
        .enumerate()
        .for_each(|(row, out)| {
            for (out, &value) in out
                .iter_mut()
                .zip(data.iter().skip(row).step_by(rows.max(1)))
            {
                *out = value;
            }
        });
    out
}

/// Undoes `LlamaModel.permute` of llama.cpp's converter: within each head, row `2i + j` goes back to row
/// `j · d_head/2 + i`. Works for matrices and for biases.
fn without_pairs(data: &[f32], rows: usize, heads: usize) -> Vec<f32> {
    let width = data.len().checked_div(rows).unwrap_or(0).max(1);
    let d_head = rows.checked_div(heads).unwrap_or(0).max(2);
    let mut out = vec![0.0; data.len()];
    out.par_chunks_mut(width * d_head)
        .zip(data.par_chunks(width * d_head))
        .for_each(|(out, head)| {
            let (first, second) = out.split_at_mut((width * d_head / 2).min(out.len()));
            let halves = first
                .chunks_exact_mut(width)
                .zip(second.chunks_exact_mut(width));
            for ((first, second), pair) in halves.zip(head.chunks_exact(2 * width)) {
                let (even, odd) = pair.split_at(width);
                first.copy_from_slice(even);
                second.copy_from_slice(odd);
            }
        });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transpose_is_undone() {
        // [2, 3] in the file, [3, 2] in Hugging Face's order.
        let data = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(
            arrange(data, &[3, 2], Layout::Transposed),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
    }

    #[test]
    fn interleaved_rows_are_put_back() {
        // Two heads of width 4: llama.cpp writes rows 0 2 1 3 of each.
        let data = vec![0.0, 2.0, 1.0, 3.0, 10.0, 12.0, 11.0, 13.0];
        let layout = Layout::RopePairs { heads: 2 };
        assert_eq!(
            arrange(data.clone(), &[8], layout),
            [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]
        );
        let twice: Vec<f32> = data.iter().flat_map(|&v| [v, v + 0.5]).collect();
        let expected: Vec<f32> = [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]
            .iter()
            .flat_map(|&v| [v, v + 0.5])
            .collect();
        assert_eq!(arrange(twice, &[8, 2], layout), expected);
    }
}
