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

/// A value of GGUF metadata.
#[derive(Clone, Debug)]
pub(crate) enum Entry<'a> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'a str),
    U32s(&'a [u32]),
    I32s(&'a [i32]),
    Texts(&'a [&'a str]),
}

impl Entry<'_> {
    /// Its type's number and its bytes.
    fn bytes(&self) -> Vec<u8> {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        let array = |kind: u32, values: Vec<Vec<u8>>| {
            let count = values.len() as u64;
            let head = [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
            [head, values.concat()].concat()
        };
        let words = |values: &[u32]| values.iter().map(|v| v.to_le_bytes().to_vec()).collect();
        let (kind, value) = match *self {
            Self::U32(value) => (4u32, value.to_le_bytes().to_vec()),
            Self::F32(value) => (6, value.to_le_bytes().to_vec()),
            Self::Bool(value) => (7, vec![u8::from(value)]),
            Self::Text(value) => (8, text(value)),
            Self::U32s(values) => (9, array(4, words(values))),
            Self::I32s(values) => (9, array(5, words(bytemuck::cast_slice(values)))),
            Self::Texts(values) => (9, array(8, values.iter().map(|v| text(v)).collect())),
        };
        [kind.to_le_bytes().to_vec(), value].concat()
    }
}

/// A copy of a golden GGUF file in which metadata are set or, with `None`, removed, and tensors renamed.
pub(crate) fn gguf_with(
    name: &str,
    metadata: &[(&str, Option<Entry<'_>>)],
    renamed: &[(&str, &str)],
) -> tempfile::NamedTempFile {
    let file = fs_err::read(path(name)).unwrap();
    let mut rest = file.get(8..).unwrap();
    let (tensors, entries) = (number(&mut rest, 8), number(&mut rest, 8));
    let mut kept: Vec<(String, Vec<u8>)> = (0..entries)
        .map(|_| {
            let key = text(&mut rest);
            let start = rest;
            let kind = number(&mut rest, 4);
            skip_value(&mut rest, kind);
            (key, start[..start.len() - rest.len()].to_vec())
        })
        .collect();
    for (key, entry) in metadata {
        kept.retain(|(kept, _)| kept != key);
        kept.extend(
            entry
                .as_ref()
                .map(|entry| ((*key).to_owned(), entry.bytes())),
        );
    }
    let mut out = file[..8].to_vec();
    out.extend(tensors.to_le_bytes());
    out.extend((kept.len() as u64).to_le_bytes());
    let mut put = |key: &str, value: &[u8]| {
        out.extend((key.len() as u64).to_le_bytes());
        out.extend(key.as_bytes());
        out.extend(value);
    };
    for (key, value) in &kept {
        put(key, value);
    }
    for _ in 0..tensors {
        let name = text(&mut rest);
        let start = rest;
        let dimensions = number(&mut rest, 4);
        take(&mut rest, 8 * dimensions + 12);
        let to = renamed.iter().find(|(from, _)| *from == name);
        put(
            to.map_or(&name, |(_, to)| to),
            &start[..start.len() - rest.len()],
        );
    }
    let data = (file.len() - rest.len()).next_multiple_of(32);
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(&file[data..]);
    let copy = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(copy.path(), out).unwrap();
    copy
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> &'a [u8] {
    let (taken, after) = rest.split_at(count as usize);
    *rest = after;
    taken
}

fn number(rest: &mut &[u8], width: u64) -> u64 {
    let bytes = take(rest, width);
    bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn text(rest: &mut &[u8]) -> String {
    let length = number(rest, 8);
    String::from_utf8(take(rest, length).to_vec()).unwrap()
}

fn skip_value(rest: &mut &[u8], kind: u64) {
    match kind {
        0 | 1 | 7 => drop(take(rest, 1)),
        2 | 3 => drop(take(rest, 2)),
        4..=6 => drop(take(rest, 4)),
        8 => drop(text(rest)),
        9 => {
            let (kind, count) = (number(rest, 4), number(rest, 8));
            (0..count).for_each(|_| skip_value(rest, kind));
        }
        _ => drop(take(rest, 8)),
    }
}
