//! Named tensors on the host, whatever file they come from.
//!
//! A [`Checkpoint`] opens its files, checks their headers, and gives one tensor at a time as `f32`. Names are Hugging
//! Face's whatever the format; a GGUF file's are translated (see [`gguf`]). [`ModelFiles`] adds what else a model needs:
//! its configuration and its tokenizer. This module knows nothing of devices and nothing of what the tensors mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
};

pub mod config;
mod encoding;
mod expected;
mod file;
pub mod gguf;
#[cfg(test)]
pub(crate) mod golden;
mod head;
mod model_files;
#[cfg(test)]
mod robustness;
mod safetensors;
#[cfg(test)]
mod tests;

pub(crate) use config::BertConfig;
pub use config::{Gpt2Config, LlamaConfig, ModelConfig, RopeConfig, RopeScaling, Yarn};
use encoding::{Encoding, first_non_finite};
use file::WeightFile;
use latentd_files::Interrupt;
pub use model_files::ModelFiles;

use crate::error::LoadError;

/// A tensor on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements, row-major; as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// Where a tensor lies and how it is written.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    /// Number of the file.
    file: usize,
    /// Its bytes in that file; within the file, as checked when the header was read.
    span: Range<usize>,
    encoding: Encoding,
    /// Its dimensions as Hugging Face has them, row-major.
    shape: Vec<usize>,
    layout: Layout,
}

/// How the elements in the file are arranged, compared with Hugging Face's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// The same.
    AsStored,
    /// The two dimensions are swapped.
    Transposed,
    /// Rows of each of `heads` heads are interleaved: pairs `(i, i + d_head/2)` lie side by side.
    RopePairs {
        /// Number of heads in the rows.
        heads: usize,
    },
}

/// The tensors of one model or SAE, read when they are taken.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<WeightFile>,
    tensors: BTreeMap<String, Stored>,
    taken: BTreeSet<String>,
}

impl Checkpoint {
    /// The checkpoint of a Hugging Face folder: `model.safetensors`, or the shards of `model.safetensors.index.json`. What is read
    /// of it ends when `interrupt` is raised.
    ///
    /// # Errors
    /// Files that are absent or malformed, and tensors that the index promises and no shard holds.
    pub fn open_folder(folder: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        let mut checkpoint = Self::open_files(&safetensors::files_of_folder(folder)?, interrupt)?;
        folder.clone_into(&mut checkpoint.path);
        let absent = safetensors::promised_but_absent(folder, &checkpoint.tensors)?;
        if !absent.is_empty() {
            return Err(LoadError::MissingTensor {
                path: folder.to_owned(),
                tensors: absent,
            });
        }
        Ok(checkpoint)
    }

    /// The checkpoint in one safetensors file.
    ///
    /// # Errors
    /// As [`Checkpoint::open_folder`].
    pub fn open_file(file: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        Self::open_files(&[file.to_owned()], interrupt)
    }

    fn open_files(paths: &[PathBuf], interrupt: &Interrupt) -> Result<Self, LoadError> {
        let files = paths
            .iter()
            .map(|path| WeightFile::open(path, interrupt))
            .collect::<Result<Vec<_>, _>>()?;
        let mut tensors = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            for (name, stored) in safetensors::read_header(file, number)? {
                if tensors.contains_key(&name) {
                    let detail = format!("`{name}` is also in another file of the checkpoint");
                    return Err(LoadError::MalformedSafetensors {
                        path: file.path().to_owned(),
                        detail,
                    });
                }
                tensors.insert(name, stored);
            }
        }
        let path = paths.first().cloned().unwrap_or_default();
        Ok(Self {
            path,
            files,
            tensors,
            taken: BTreeSet::new(),
        })
    }

    /// Folder or file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// The number format of a tensor in the file (`f32`, `f16`, `bf16`, `q4_1` …), if there is one of this name.
    pub fn dtype(&self, name: &str) -> Option<&str> {
        self.tensors.get(name).map(|stored| stored.encoding.name())
    }

    /// Checks names and shapes before anything is read, so that one message lists all that is missing.
    ///
    /// # Errors
    /// [`LoadError::MissingTensor`] with every missing name, else [`LoadError::ShapeMismatch`] for the first that differs.
    pub fn require(&self, expected: &[(String, Vec<usize>)]) -> Result<(), LoadError> {
        let tensors: Vec<String> = expected
            .iter()
            .filter(|(name, _)| !self.contains(name))
            .map(|(name, _)| name.clone())
            .collect();
        if !tensors.is_empty() {
            return Err(LoadError::MissingTensor {
                path: self.path.clone(),
                tensors,
            });
        }
        expected
            .iter()
            .try_for_each(|(name, shape)| self.stored(name, shape).map(|_| ()))
    }

    /// Reads a tensor and counts it as used. The same tensor can be taken again.
    ///
    /// # Errors
    /// It is absent, has another shape than `expected`, is written in a format that cannot be converted, or holds NaN or
    /// infinity.
    pub fn take(&mut self, name: &str, expected: &[usize]) -> Result<HostTensor, LoadError> {
        let stored = self.stored(name, expected)?;
        let elements = expected.iter().product();
        let data = self
            .numbers(stored, elements)?
            .ok_or_else(|| self.unreadable(name, stored))?;
        if let Some((index, value)) = first_non_finite(&data) {
            return Err(LoadError::NonFiniteWeights {
                path: self.path.clone(),
                tensor: name.to_owned(),
                index,
                value,
            });
        }
        let data = gguf::arrange(data, expected, stored.layout);
        self.taken.insert(name.to_owned());
        Ok(HostTensor {
            shape: expected.to_owned(),
            data,
        })
    }

    /// Whether two tensors hold the same numbers; `None` unless both are there and can be read.
    fn equal(&self, one: &str, other: &str) -> Option<bool> {
        let (one, other) = (self.tensors.get(one)?, self.tensors.get(other)?);
        if one.shape != other.shape {
            return Some(false);
        }
        if one.encoding == other.encoding {
            let (file, beside) = (self.files.get(one.file)?, self.files.get(other.file)?);
            if file.same(&one.span, beside, &other.span).ok()? {
                return Some(true);
            }
        }
        let elements = one.shape.iter().product();
        let one = self.numbers(one, elements).ok()??;
        let other = self.numbers(other, elements).ok()??;
        Some(one == other)
    }

    /// The numbers of a tensor, or `None` if its format cannot be converted.
    fn numbers(&self, stored: &Stored, elements: usize) -> Result<Option<Vec<f32>>, LoadError> {
        match self.files.get(stored.file) {
            Some(file) => stored.encoding.read(file, &stored.span, elements),
            None => Ok(None),
        }
    }

    /// Gives a tensor a second name.
    fn alias(&mut self, name: &str, alias: &str) {
        if let Some(stored) = self.tensors.get(name).cloned() {
            self.tensors.insert(alias.to_owned(), stored);
        }
    }

    /// Names of the tensors that were not taken, sorted.
    pub fn unused(&self) -> Vec<String> {
        self.tensors
            .keys()
            .filter(|name| !self.taken.contains(*name))
            .cloned()
            .collect()
    }

    /// BLAKE3 digest of the weight files in hexadecimal: of the file itself if it is one, so that `b3sum` gives the same,
    /// else of the digests of the files in the order of their names.
    ///
    /// # Errors
    /// [`LoadError::PathNotReadable`], also for a file that became shorter.
    pub fn digest(&self) -> Result<String, LoadError> {
        let digest = match self.files.as_slice() {
            [file] => file.digest()?,
            files => {
                let mut all = blake3::Hasher::new();
                for file in files {
                    all.update(file.digest()?.as_bytes());
                }
                all.finalize()
            }
        };
        Ok(digest.to_hex().to_string())
    }

    fn stored(&self, name: &str, expected: &[usize]) -> Result<&Stored, LoadError> {
        let stored = self
            .tensors
            .get(name)
            .ok_or_else(|| LoadError::MissingTensor {
                path: self.path.clone(),
                tensors: vec![name.to_owned()],
            })?;
        if stored.shape != expected {
            return Err(LoadError::ShapeMismatch {
                path: self.path.clone(),
                tensor: name.to_owned(),
                expected: expected.to_owned(),
                found: stored.shape.clone(),
            });
        }
        Ok(stored)
    }

    fn unreadable(&self, name: &str, stored: &Stored) -> LoadError {
        let path = self
            .files
            .get(stored.file)
            .map_or(&*self.path, WeightFile::path)
            .to_owned();
        let detail = format!(
            "`{name}` is written as {}, which is not supported for this tensor",
            stored.encoding.name()
        );
        match stored.encoding {
            Encoding::Quantized(_) => LoadError::MalformedGguf { path, detail },
            _ => LoadError::MalformedSafetensors { path, detail },
        }
    }

    /// Puts `prefix` before every name if the checkpoint was saved without it (the bare model, not the one with a head),
    /// so that the rest of the crate knows one spelling.
    pub(crate) fn with_prefix(mut self, prefix: &str) -> Self {
        if !self.tensors.keys().any(|name| name.starts_with(prefix)) {
            self.tensors = std::mem::take(&mut self.tensors)
                .into_iter()
                .map(|(name, stored)| {
                    let bare = name.starts_with("lm_head.");
                    (
                        if bare {
                            name
                        } else {
                            format!("{prefix}{name}")
                        },
                        stored,
                    )
                })
                .collect();
        }
        self
    }
}
