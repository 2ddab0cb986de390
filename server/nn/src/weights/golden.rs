//! Test support: the tiny models of `tests/golden/models`, copied where a test may damage them.

use std::path::{Path, PathBuf};

use super::{HostTensor, ModelFiles};
use crate::error::LoadError;

/// A file or folder of `tests/golden`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

/// A copy of the golden folder `name`.
pub(crate) fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(path(name)).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// A copy of the golden folder `name` with the folders in it.
pub(crate) fn copy_all(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut open = vec![(path(name), folder.path().to_owned())];
    while let Some((from, to)) = open.pop() {
        fs_err::create_dir_all(&to).unwrap();
        for entry in fs_err::read_dir(from).unwrap() {
            let (from, to) = (
                entry.as_ref().unwrap().path(),
                to.join(entry.unwrap().file_name()),
            );
            if from.is_dir() {
                open.push((from, to));
            } else {
                fs_err::copy(from, to).unwrap();
            }
        }
    }
    folder
}

/// Opens a model and takes every tensor that its family needs.
pub(crate) fn take_all(path: &Path) -> Result<(ModelFiles, Vec<HostTensor>), LoadError> {
    let mut files = ModelFiles::open(path)?;
    let expected = files.config.tensors();
    let tensors = expected
        .iter()
        .map(|(name, shape)| files.checkpoint.take(name, shape))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((files, tensors))
}

/// Writes a safetensors file of f32 tensors.
pub(crate) fn write_safetensors(path: &Path, tensors: &[(&str, &[usize], &[f32])]) {
    let views = tensors.iter().map(|(name, shape, values)| {
        let bytes = bytemuck::cast_slice(values);
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), bytes);
        (*name, view.unwrap())
    });
    fs_err::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}
