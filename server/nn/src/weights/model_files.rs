//! Everything that a model is loaded from, whichever format it comes in: configuration, weights, tokenizer.

use std::path::{Path, PathBuf};

use latentd_files::{Interrupt, Kind};

use super::{Checkpoint, ModelConfig, gguf::Gguf, head};
use crate::{
    error::{LoadError, listed},
    tokenizer::Tokenizer,
};

/// The files of one model, opened and checked: every tensor that the family needs is there, with the right shape.
#[derive(Debug)]
pub struct ModelFiles {
    /// `huggingface` or `gguf`.
    pub format: &'static str,
    /// The family and its dimensions.
    pub config: ModelConfig,
    /// The weights.
    pub checkpoint: Checkpoint,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
}

impl ModelFiles {
    /// Opens a Hugging Face folder, a GGUF file, or a folder that holds one GGUF file and no `config.json`.
    ///
    /// # Errors
    /// What is absent, malformed or not supported. All tensors that are missing are listed at once.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Self::open_until(path, &Interrupt::new())
    }

    /// [`ModelFiles::open`]; what is read, now and later, ends when `interrupt` is raised.
    ///
    /// # Errors
    /// As [`ModelFiles::open`], and [`LoadError::Interrupted`].
    pub fn open_until(path: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        let kind = latentd_files::kind(path).map_err(|error| LoadError::unreadable(path, error))?;
        let files = if kind != Kind::Folder {
            Self::open_gguf(path, interrupt)?
        } else if let Some(file) = only_gguf(path)? {
            Self::open_gguf(&file, interrupt)?
        } else {
            Self::open_folder(path, interrupt)?
        };
        files.checkpoint.require(&files.config.tensors())?;
        Ok(files)
    }

    fn open_folder(folder: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        let (mut config, special) = ModelConfig::read(&folder.join("config.json"))?;
        refuse_adapter(folder)?;
        let mut checkpoint =
            Checkpoint::open_folder(folder, interrupt)?.with_prefix(config.prefix());
        head::settle(&mut config, &mut checkpoint);
        let tokenizer = Tokenizer::from_json(&folder.join("tokenizer.json"), special)?;
        Ok(Self {
            format: "huggingface",
            config,
            checkpoint,
            tokenizer,
        })
    }

    fn open_gguf(file: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        let gguf = Gguf::open(file, interrupt)?;
        refuse_unknown(&gguf)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        Ok(Self {
            format: "gguf",
            config: gguf.config,
            checkpoint: gguf.checkpoint,
            tokenizer,
        })
    }
}

/// transformers applies an adapter that lies beside a model's weights; its matrices are not read here.
fn refuse_adapter(folder: &Path) -> Result<(), LoadError> {
    const ADAPTER: &str = "adapter_config.json";
    if !folder.join(ADAPTER).exists() {
        return Ok(());
    }
    Err(LoadError::UnsupportedModel {
        path: folder.to_owned(),
        detail: format!(
            "the folder has an adapter (`{ADAPTER}`), which is not supported: merge it into the weights"
        ),
    })
}

/// A tensor that the family has no use for means that the model is another one than the metadata say. llama.cpp loads no
/// such file.
fn refuse_unknown(gguf: &Gguf) -> Result<(), LoadError> {
    let known = gguf.config.tensors();
    let unknown: Vec<&str> = gguf
        .checkpoint
        .names()
        .filter(|name| !Gguf::IS_READ_WITH_CONFIG.contains(name))
        .filter(|name| known.iter().all(|(known, _)| known != name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let family = gguf.config.family();
    Err(LoadError::UnsupportedModel {
        path: gguf.checkpoint.path().to_owned(),
        detail: format!(
            "a {family} has no use for {}: the file holds another model, which is not supported",
            listed(&unknown)
        ),
    })
}

/// The GGUF file of a folder that has no `config.json` and one such file.
fn only_gguf(folder: &Path) -> Result<Option<PathBuf>, LoadError> {
    if folder.join("config.json").exists() {
        return Ok(None);
    }
    let unreadable = |source| LoadError::PathNotReadable {
        path: folder.to_owned(),
        source,
    };
    let mut found = None;
    for entry in fs_err::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
            && found.replace(path).is_some()
        {
            let detail = "the folder has several GGUF files; give the path of one";
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, detail);
            return Err(unreadable(source));
        }
    }
    Ok(found)
}
