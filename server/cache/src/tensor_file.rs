//! Writes safetensors files column by column, in constant memory and with the same bytes for the same content.
//!
//! The format is eight bytes of header length, a JSON header padded with spaces to a multiple of eight, then the
//! tensors back to back (<https://github.com/huggingface/safetensors>). Columns are declared widest type first, which
//! keeps each aligned to its type, so that readers may cast the mapped bytes.

use std::{collections::BTreeMap, fmt::Write as _, io, path::Path};

use crate::{
    Error,
    files::{AtomicFile, Written},
    scalar::Scalar,
};

/// A tensor that a file will hold.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    name: &'static str,
    dtype: &'static str,
    shape: Vec<u64>,
    bytes: u64,
}

impl Declared {
    /// A tensor of `T`s.
    pub(crate) fn new<T: Scalar>(name: &'static str, shape: &[u64]) -> Self {
        let bytes = shape.iter().product::<u64>() * size_of::<T>() as u64;
        Self {
            name,
            dtype: T::NAME,
            shape: shape.to_vec(),
            bytes,
        }
    }
}

/// A safetensors file on its way to its place.
pub(crate) struct TensorFile {
    file: AtomicFile,
    /// Bytes of tensors that are still to come.
    missing: u64,
}

impl TensorFile {
    /// Begins the file at `target` with the header of `tensors`, which are then written in this order.
    pub(crate) fn create(
        target: &Path,
        tensors: &[Declared],
        metadata: &BTreeMap<&str, String>,
    ) -> Result<Self, Error> {
        let mut file = AtomicFile::create(target)?;
        let header = header(tensors, metadata);
        file.write(&(header.len() as u64).to_le_bytes())?;
        file.write(header.as_bytes())?;
        Ok(Self {
            file,
            missing: tensors.iter().map(|tensor| tensor.bytes).sum(),
        })
    }

    /// Appends values to the tensors.
    pub(crate) fn write<T: Scalar>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        for value in values {
            self.write_bytes(bytemuck::bytes_of(&value))?;
        }
        Ok(())
    }

    /// Appends what is left of `source` to the tensors.
    pub(crate) fn copy_from(&mut self, source: &mut impl io::Read) -> Result<(), Error> {
        let mut piece = vec![0; 1 << 16];
        loop {
            let read = source
                .read(&mut piece)
                .map_err(|error| Error::storage(self.file.target(), error))?;
            match piece.get(..read) {
                Some([]) | None => return Ok(()),
                Some(bytes) => self.write_bytes(bytes)?,
            }
        }
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.missing = self
            .missing
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| self.misfit())?;
        self.file.write(bytes)
    }

    /// Puts the file in its place.
    pub(crate) fn commit(self) -> Result<Written, Error> {
        if self.missing == 0 {
            self.file.commit()
        } else {
            Err(self.misfit())
        }
    }

    fn misfit(&self) -> Error {
        Error::invalid_build(format!(
            "{} would not fit its header",
            self.file.target().display()
        ))
    }
}

fn header(tensors: &[Declared], metadata: &BTreeMap<&str, String>) -> String {
    // Written by hand: the order of keys must not depend on how some other crate configures serde_json.
    let mut out = String::from("{\"__metadata__\":{");
    for (at, (key, value)) in metadata.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(
            out,
            "{comma}\"{key}\":{}",
            serde_json::Value::from(value.as_str())
        );
    }
    out.push('}');
    let mut start = 0;
    for Declared {
        name,
        dtype,
        shape,
        bytes,
    } in tensors
    {
        let end = start + bytes;
        let shape = shape
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(",");
        let _ = write!(
            out,
            ",\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{start},{end}]}}"
        );
        start = end;
    }
    out.push('}');
    out.push_str(&" ".repeat(out.len().next_multiple_of(8) - out.len()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_safetensors_crate_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let declared = [
            Declared::new::<u64>("wide", &[2]),
            Declared::new::<u16>("narrow", &[1, 3]),
        ];
        let metadata = BTreeMap::from([("key", "a \"quoted\" value".to_owned())]);
        let mut file = TensorFile::create(&path, &declared, &metadata).unwrap();
        file.write([7_u64, 8]).unwrap();
        file.write([1_u16, 2, 3]).unwrap();
        let written = file.commit().unwrap();
        let bytes = fs_err::read(&path).unwrap();
        assert_eq!(written.bytes, bytes.len() as u64);
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(
            read.tensor("wide").unwrap().data(),
            bytemuck::cast_slice::<u64, u8>(&[7, 8])
        );
        assert_eq!(read.tensor("narrow").unwrap().shape(), [1, 3]);
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(
            header.metadata().as_ref().unwrap()["key"],
            "a \"quoted\" value"
        );
    }

    #[test]
    fn a_column_of_the_wrong_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let declared = [Declared::new::<u32>("column", &[2])];
        let mut file = TensorFile::create(&path, &declared, &BTreeMap::new()).unwrap();
        file.write([1_u32]).unwrap();
        assert!(matches!(file.commit(), Err(Error::InvalidBuild { .. })));
        let mut file = TensorFile::create(&path, &declared, &BTreeMap::new()).unwrap();
        assert!(matches!(
            file.write([1_u32, 2, 3]),
            Err(Error::InvalidBuild { .. })
        ));
        drop(file);
        assert!(!path.exists());
    }
}
