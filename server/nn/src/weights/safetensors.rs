//! Safetensors headers and Hugging Face folders of them.
//!
//! The format (<https://github.com/huggingface/safetensors#format>): the header's length as u64, the header as JSON, the
//! data. The header is read here and not with the `safetensors` crate because that one refuses a whole file for one
//! number format that it does not know, and adds offsets that come from outside without a check for overflow.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Layout, Stored, encoding::Encoding, file::WeightFile};
use crate::error::{LoadError, shape};

/// Longest header that is read; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;
/// Longest index that is read; those of the largest models have some 10 MB.
const MAX_INDEX: u64 = 256 << 20;
/// Most dimensions that a tensor can have.
const MAX_DIMENSIONS: usize = 8;
/// Name of a checkpoint in one file.
const SINGLE: &str = "model.safetensors";
/// Name of the index of a checkpoint in several files.
const INDEX: &str = "model.safetensors.index.json";

/// One entry of a header.
#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The index of a checkpoint in several files.
#[derive(Deserialize)]
struct RawIndex {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of a file, by name. `number` is the file's in the checkpoint.
pub(super) fn read_header(
    file: &WeightFile,
    number: usize,
) -> Result<BTreeMap<String, Stored>, LoadError> {
    let malformed = |detail| LoadError::MalformedSafetensors {
        path: file.path().to_owned(),
        detail,
    };
    let length = header_length(&file.head(8)?, file.length()).map_err(malformed)?;
    let data_start = 8 + length;
    let mut header = vec![0; length];
    file.read_at(8, &mut header)?;
    let entries: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| malformed(format!("its header is not JSON: {error}")))?;

    let mut tensors = BTreeMap::new();
    for (name, entry) in entries {
        if name == "__metadata__" {
            continue;
        }
        let raw = RawTensor::deserialize(entry)
            .map_err(|error| malformed(format!("the header's entry `{name}`: {error}")))?;
        let stored = stored(raw, number, data_start)
            .map_err(|detail| malformed(format!("the tensor `{name}` {detail}")))?;
        tensors.insert(name, stored);
    }
    check_layout(&tensors, data_start..file.length()).map_err(malformed)?;
    Ok(tensors)
}

/// The length of the header's JSON in a file of `file_length` bytes, from what the file begins with.
fn header_length(first: &[u8], file_length: usize) -> Result<usize, String> {
    let (length, _) = first
        .split_first_chunk::<8>()
        .ok_or_else(|| "it ends within the header's length".to_owned())?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(format!(
            "it declares a header of {length} bytes, over the limit of {MAX_HEADER}"
        ));
    }
    let rest = file_length.saturating_sub(8);
    if length > rest as u64 {
        return Err(format!(
            "it declares a header of {length} bytes and has {rest} after it"
        ));
    }
    Ok(length as usize)
}

fn stored(raw: RawTensor, file: usize, data_start: usize) -> Result<Stored, String> {
    if raw.shape.len() > MAX_DIMENSIONS {
        return Err(format!(
            "has {} dimensions, over the limit of {MAX_DIMENSIONS}",
            raw.shape.len()
        ));
    }
    let (begin, end) = raw.data_offsets;
    let bytes = end
        .checked_sub(begin)
        .ok_or_else(|| format!("ends at {end} before it begins at {begin}"))?;
    let span = begin
        .checked_add(data_start)
        .zip(end.checked_add(data_start));
    let (begin, end) = span.ok_or_else(|| "lies outside the file".to_owned())?;
    let (encoding, width) = match raw.dtype.as_str() {
        "F32" => (Encoding::F32, Some(4)),
        "F16" => (Encoding::F16, Some(2)),
        "BF16" => (Encoding::Bf16, Some(2)),
        other => (Encoding::Other(other.to_owned()), None),
    };
    if let Some(width) = width {
        let expected = raw
            .shape
            .iter()
            .try_fold(width, |product: usize, &n| product.checked_mul(n));
        if expected != Some(bytes) {
            return Err(format!(
                "of {} and shape {} has {bytes} bytes of data",
                raw.dtype,
                shape(&raw.shape)
            ));
        }
    }
    Ok(Stored {
        file,
        span: begin..end,
        encoding,
        shape: raw.shape,
        layout: Layout::AsStored,
    })
}

/// Tensors follow one another without overlap or hole, and fill the file, as the format demands.
fn check_layout(
    tensors: &BTreeMap<String, Stored>,
    data: std::ops::Range<usize>,
) -> Result<(), String> {
    let mut in_order: Vec<_> = tensors.iter().collect();
    in_order.sort_by_key(|(_, stored)| (stored.span.start, stored.span.end));
    let mut end = data.start;
    for (name, stored) in in_order {
        if stored.span.start != end {
            return Err(format!(
                "the data of `{name}` does not begin where the tensor before it ends"
            ));
        }
        end = stored.span.end;
    }
    if end != data.end {
        return Err(format!(
            "its header describes {} bytes of data and it has {}",
            end - data.start,
            data.len()
        ));
    }
    Ok(())
}

/// The safetensors files of a Hugging Face folder, in the order of their names.
pub(super) fn files_of_folder(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let single = folder.join(SINGLE);
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = folder.join(INDEX);
    if !index.exists() {
        let source = std::io::Error::new(
            std::io::ErrorKind::NotFound,
            format!(
                "the folder has neither {SINGLE} nor {INDEX} (PyTorch's .bin files are not read: convert them)"
            ),
        );
        return Err(LoadError::PathNotReadable {
            path: folder.to_owned(),
            source,
        });
    }
    let malformed = |detail| LoadError::MalformedSafetensors {
        path: index.clone(),
        detail,
    };
    let files: BTreeSet<String> = read_index(&index)?.into_values().collect();
    if files.is_empty() {
        return Err(malformed("it names no files".to_owned()));
    }
    files
        .into_iter()
        .map(|file| {
            let is_plain = Path::new(&file)
                .file_name()
                .is_some_and(|name| name == file.as_str());
            if is_plain {
                Ok(folder.join(file))
            } else {
                Err(malformed(format!("`{file}` is not a file's name")))
            }
        })
        .collect()
}

/// Names that a folder's index promises and no shard holds.
pub(super) fn promised_but_absent(
    folder: &Path,
    tensors: &BTreeMap<String, Stored>,
) -> Result<Vec<String>, LoadError> {
    if folder.join(SINGLE).exists() {
        return Ok(Vec::new());
    }
    Ok(read_index(&folder.join(INDEX))?
        .into_keys()
        .filter(|name| !tensors.contains_key(name))
        .collect())
}

fn read_index(index: &Path) -> Result<BTreeMap<String, String>, LoadError> {
    let malformed = |path, detail| LoadError::MalformedSafetensors { path, detail };
    let json = latentd_files::read(index, MAX_INDEX)
        .map_err(|error| LoadError::of_file(index, error, malformed))?;
    serde_json::from_slice::<RawIndex>(&json)
        .map(|index| index.weight_map)
        .map_err(|error| malformed(index.to_owned(), format!("it is not an index: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(header: &str, data: &[u8]) -> Result<BTreeMap<String, Stored>, LoadError> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        open_bytes(&bytes)
    }

    fn open_bytes(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        fs_err::write(&path, bytes).unwrap();
        read_header(
            &WeightFile::open(&path, &latentd_files::Interrupt::new()).unwrap(),
            0,
        )
    }

    fn refusal(header: &str, data: &[u8]) -> String {
        open(header, data).unwrap_err().to_string()
    }

    #[test]
    fn a_sound_file_is_read() {
        let header = r#"{"__metadata__":{"format":"pt"},
            "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "b":{"dtype":"F8_NEW","shape":[3],"data_offsets":[8,11]}}"#;
        let tensors = open(header, &[0; 11]).unwrap();
        assert_eq!(tensors["a"].shape, [2]);
        assert_eq!(tensors["b"].encoding, Encoding::Other("F8_NEW".into()));
    }

    #[test]
    fn lies_are_refused() {
        assert!(open_bytes(&[]).is_err());
        assert!(
            open_bytes(&u64::MAX.to_le_bytes())
                .unwrap_err()
                .to_string()
                .contains("over the limit")
        );
        assert!(
            open_bytes(&1000u64.to_le_bytes())
                .unwrap_err()
                .to_string()
                .contains("has 0 after it")
        );
        assert!(refusal("[]", &[]).contains("not JSON"));
        let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
        assert!(refusal(overlap, &[0; 12]).contains("does not begin"));
        let short = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        assert!(refusal(short, &[0; 7]).contains("describes 8 bytes"));
        assert!(refusal(short, &[0; 9]).contains("describes 8 bytes"));
        let shape = r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#;
        assert!(refusal(shape, &[0; 8]).contains("8 bytes of data"));
        let huge = r#"{"a":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,8]}}"#;
        assert!(refusal(huge, &[0; 8]).contains("8 bytes of data"));
        let wrap = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}}"#;
        assert!(refusal(wrap, &[0; 8]).contains("outside the file"));
        let backwards = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#;
        assert!(refusal(backwards, &[0; 8]).contains("before it begins"));
    }
}
