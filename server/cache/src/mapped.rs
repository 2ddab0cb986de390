//! Reads safetensors files in place, by mmap.
//!
//! A file may be truncated or changed by anything that can write to the disk, so the header is checked before a column
//! is handed out: every column is one that its reader asked for by name, type and shape, and lies inside the file.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{Error, guard::Guarded, scalar::Scalar};

/// Longest header of a cache file; ours have a few hundred bytes.
const MAX_HEADER: u64 = 1 << 20;

/// A mapped safetensors file.
#[derive(Debug)]
pub(crate) struct Mapped {
    path: PathBuf,
    map: Guarded,
    header: Header,
    /// Where the tensors begin.
    data: usize,
}

#[derive(Debug, Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Where in a file a tensor of `T`s lies.
#[derive(Debug)]
pub(crate) struct Column<T> {
    bytes: Range<usize>,
    values: PhantomData<fn() -> T>,
}

impl Mapped {
    /// Maps the file at `path` and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let map = map(path)?;
        let corrupt = |detail: String| Error::corrupt(path, detail);
        let length = map
            .get(..8)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_le_bytes);
        let length =
            length.ok_or_else(|| corrupt("shorter than a safetensors header".to_owned()))?;
        let data = usize::try_from(length.min(MAX_HEADER + 1))
            .unwrap_or(usize::MAX)
            .saturating_add(8);
        let header = map.get(8..data).filter(|_| length <= MAX_HEADER);
        let header =
            header.ok_or_else(|| corrupt("the header is longer than the file".to_owned()))?;
        let header: Header = serde_json::from_slice(header).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            corrupt(format!(
                "the header is not that of a cache file: line {line}, column {column}"
            ))
        })?;
        let end = header
            .tensors
            .values()
            .map(|tensor| tensor.data_offsets.1)
            .max()
            .unwrap_or(0);
        let held = (map.len() - data) as u64;
        if end != held {
            return Err(corrupt(format!(
                "the header promises {end} bytes of tensors, the file has {held}"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            map,
            header,
            data,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// The string that the header keeps under `key`.
    pub(crate) fn metadata(&self, key: &str) -> Result<&str, Error> {
        let value = self.header.metadata.get(key).map(String::as_str);
        value.ok_or_else(|| self.corrupt(format!("the header does not say `{key}`")))
    }

    /// First dimension of tensor `name`.
    pub(crate) fn len(&self, name: &str) -> Result<u64, Error> {
        let length = self
            .header
            .tensors
            .get(name)
            .and_then(|tensor| tensor.shape.first());
        length
            .copied()
            .ok_or_else(|| self.corrupt(format!("there is no tensor `{name}`")))
    }

    /// The tensor `name`, which must be of `T`s and of this shape.
    pub(crate) fn column<T: Scalar>(&self, name: &str, shape: &[u64]) -> Result<Column<T>, Error> {
        let misfit = || {
            let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
            let shape = shape.join(" × ");
            self.corrupt(format!(
                "tensor `{name}` is not {} of the shape {shape}",
                T::NAME
            ))
        };
        let tensor = self.header.tensors.get(name).ok_or_else(misfit)?;
        if tensor.dtype != T::NAME || tensor.shape != shape {
            return Err(misfit());
        }
        let size = shape
            .iter()
            .try_fold(size_of::<T>() as u64, |size, &dim| size.checked_mul(dim));
        let (start, end) = tensor.data_offsets;
        if size.is_none() || end.checked_sub(start) != size {
            return Err(misfit());
        }
        let place = |offset: u64| {
            usize::try_from(offset)
                .ok()
                .and_then(|at| at.checked_add(self.data))
        };
        let (start, end) = place(start).zip(place(end)).ok_or_else(misfit)?;
        let bytes = self.map.get(start..end).ok_or_else(misfit)?;
        bytemuck::try_cast_slice::<u8, T>(bytes).map_err(|_| misfit())?;
        Ok(Column {
            bytes: start..end,
            values: PhantomData,
        })
    }

    /// The values of a column of this file. [`Mapped::column`] made sure that they can be read in place.
    pub(crate) fn values<T: Scalar>(&self, column: &Column<T>) -> &[T] {
        let bytes = self.map.get(column.bytes.clone()).unwrap_or_default();
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    /// Fails with `CacheCorrupt` if the file was cut short since it was opened: what was read of it may be zeros. Whoever reads
    /// values asks this afterwards.
    pub(crate) fn intact(&self) -> Result<(), Error> {
        if self.map.is_intact() {
            Ok(())
        } else {
            Err(self.corrupt("the file was cut short while it was open"))
        }
    }

    /// This file is corrupt.
    pub(crate) fn corrupt(&self, detail: impl Into<String>) -> Error {
        Error::corrupt(&self.path, detail)
    }
}

fn map(path: &Path) -> Result<Guarded, Error> {
    let file = latentd_files::open(path).map_err(|error| Error::of_file(path, error))?;
    let failed = |source| Error::storage(path, source);
    let length = file.metadata().map_err(failed)?.len();
    if length < 8 {
        return Err(Error::corrupt(path, format!("the file has {length} bytes")));
    }
    Guarded::new(file.file()).map_err(failed)
}
