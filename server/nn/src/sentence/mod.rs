//! Sentence encoders: texts to vectors whose directions say what they mean.
//!
//! One family so far, BERT with mean or first-token pooling, which is what MiniLM and its relatives are. A folder is one of
//! sentence-transformers' or a bare Hugging Face one. Texts lie back to back like everything else in this crate: a vector
//! has the same bits whatever texts were encoded beside it.

mod bert;
mod modules;
mod pool;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bert::{Bert, Buffers};
use latentd_domain::{Dtype, ModelInfo, ModelKind};
use latentd_files::Interrupt;
use serde::Deserialize;
use settings::Settings;

use crate::{
    device::Device,
    error::{ComputeError, LoadError},
    kernels::{Chosen, Kernels, Placement},
    packed::PackedTokens,
    tokenizer::Tokenizer,
    weights::{BertConfig, Checkpoint},
};

/// A sentence encoder on this build's kernels.
pub type SentenceEncoder = SentenceEncoderOn<Chosen>;

/// A sentence encoder on the device.
#[derive(Debug)]
pub struct SentenceEncoderOn<K: Kernels> {
    info: ModelInfo,
    tokenizer: Arc<Tokenizer>,
    settings: Settings,
    bert: Bert<K>,
    device: Device,
    /// Buffers of finished passes; one unless callers overlap.
    idle: Mutex<Vec<Buffers<K>>>,
}

/// What tells one encoder from another: digests, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Of the weights.
    pub weights: String,
    /// Of the tokenizer.
    pub tokenizer: String,
}

/// The files of an encoder, opened and checked.
struct Files {
    config: BertConfig,
    settings: Settings,
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
}

impl<K: Kernels> SentenceEncoderOn<K> {
    /// Whether the folder at `path` holds a sentence encoder: its `config.json` says `bert`. Any other path is no encoder,
    /// and what is wrong with it is for the loader of language models to say.
    pub fn is_at(path: &Path) -> bool {
        #[derive(Deserialize)]
        struct Raw {
            model_type: Option<String>,
        }
        let json = settings::read(&path.join("config.json")).unwrap_or_default();
        let raw: Result<Raw, _> = serde_json::from_slice(&json);
        raw.is_ok_and(|raw| raw.model_type.as_deref() == Some(BertConfig::FAMILY))
    }

    /// Reads what the encoder in `folder` is, without its weights.
    ///
    /// # Errors
    ///
    /// As [`SentenceEncoder::load`].
    pub fn identify(folder: &Path, interrupt: &Interrupt) -> Result<Digests, LoadError> {
        let files = Files::open(folder, interrupt)?;
        Ok(Digests {
            weights: files.checkpoint.digest()?,
            tokenizer: files.tokenizer.digest().to_owned(),
        })
    }

    /// Loads a folder. Weights are f32 on every device: an encoder is small, and its last digits decide between neighbours.
    ///
    /// # Errors
    ///
    /// What the files lack or have wrong; [`LoadError::UnsupportedModel`] for a variant that is not supported.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, LoadError> {
        Self::load_until(folder, device, &Interrupt::new())
    }

    /// [`SentenceEncoder::load`], unless `interrupt` is raised before.
    ///
    /// # Errors
    ///
    /// As [`SentenceEncoder::load`], and [`LoadError::Interrupted`].
    pub fn load_until(
        folder: &Path,
        device: &Device,
        interrupt: &Interrupt,
    ) -> Result<Self, LoadError> {
        let Files {
            config,
            settings,
            mut checkpoint,
            tokenizer,
        } = Files::open(folder, interrupt)?;
        let dtype = Dtype::F32;
        let place = Placement { device, dtype };
        let bert = device.install(|| Bert::read(&config, &mut checkpoint, place))?;
        let parameters = config
            .tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>() as u64)
            .sum();
        let info = ModelInfo {
            kind: ModelKind::SentenceEncoder,
            family: BertConfig::FAMILY,
            path: folder.display().to_string(),
            format: "huggingface",
            digest: checkpoint.digest()?,
            dtype,
            n_layers: config.n_layers,
            d_model: config.d_model,
            n_heads: config.n_heads,
            n_kv_heads: config.n_heads,
            d_head: config.d_model / config.n_heads,
            d_mlp: config.d_mlp,
            vocab: config.vocab,
            context_length: settings.max_tokens,
            parameters,
            resident_bytes: bert.bytes() as u64,
            bos_token_id: tokenizer.bos(),
            eos_token_id: tokenizer.eos(),
            tokenizer_digest: tokenizer.digest().to_owned(),
            unused_tensors: checkpoint.unused(),
        };
        Ok(Self {
            info,
            tokenizer: Arc::new(tokenizer),
            settings,
            bert,
            device: device.clone(),
            idle: Mutex::default(),
        })
    }

    /// What is known of the encoder. Its `d_model` is the width of an embedding.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The ids of a text between the two special tokens, cut to the encoder's length. Does not touch the device.
    ///
    /// # Errors
    ///
    /// [`ComputeError::NotTokenizable`].
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, ComputeError> {
        let words = if self.settings.lower_case {
            self.tokenizer.encode_ids(&text.to_lowercase(), false)
        } else {
            self.tokenizer.encode_ids(text, false)
        }?;
        let (first, last) = (self.tokenizer.bos(), self.tokenizer.eos());
        let room =
            self.settings.max_tokens - usize::from(first.is_some()) - usize::from(last.is_some());
        Ok(first
            .into_iter()
            .chain(words.into_iter().take(room))
            .chain(last)
            .collect())
    }

    /// One vector for each sequence of `tokens`, `[sequences, d_model]`, row-major.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownToken`], [`ComputeError::PromptTooLong`], and [`ComputeError::Failed`] for an empty sequence:
    /// none of them with what [`SentenceEncoder::tokenize`] gives.
    pub fn embed(&self, tokens: &PackedTokens) -> Result<Vec<f32>, ComputeError> {
        self.check(tokens)?;
        if tokens.sequences() == 0 {
            return Ok(Vec::new());
        }
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = idle().pop().unwrap_or_default();
        let pooled = self.device.install(|| {
            self.bert.forward(tokens, &mut buffers);
            let rows = K::host(&K::tensor(&buffers.stream, &self.device));
            let how = (self.settings.pooling, self.settings.normalise);
            pool::pool(rows.values(), self.info.d_model, tokens, how)
        });
        idle().push(buffers);
        Ok(pooled)
    }

    fn check(&self, tokens: &PackedTokens) -> Result<(), ComputeError> {
        let ModelInfo {
            vocab,
            context_length,
            ..
        } = self.info;
        if let Some(&id) = tokens.ids().iter().find(|&&id| id as usize >= vocab) {
            return Err(ComputeError::UnknownToken { id, vocab });
        }
        if tokens.longest() > context_length {
            return Err(ComputeError::PromptTooLong {
                tokens: tokens.longest(),
                context_length,
            });
        }
        if tokens.ranges().any(|range| range.is_empty()) {
            let detail = "a text without tokens has no embedding".to_owned();
            return Err(ComputeError::Failed { detail });
        }
        Ok(())
    }
}

impl Files {
    fn open(folder: &Path, interrupt: &Interrupt) -> Result<Self, LoadError> {
        let path = folder.join("config.json");
        let json = settings::read(&path)?;
        let config = BertConfig::from_json(&json).map_err(|refusal| refusal.at(&path))?;
        let settings = Settings::read(folder, config.positions)?;
        let checkpoint = Checkpoint::open_folder(folder, interrupt)?.with_prefix("bert.");
        checkpoint.require(&config.tensors())?;
        let tokenizer = Tokenizer::of_encoder(&folder.join("tokenizer.json"))?;
        if tokenizer.vocab() > config.vocab {
            let (ids, vocab) = (tokenizer.vocab(), config.vocab);
            let detail = format!("it has {ids} token ids, and the model embeds {vocab}");
            return Err(LoadError::MalformedTokenizer {
                path: folder.join("tokenizer.json"),
                detail,
            });
        }
        Ok(Self {
            config,
            settings,
            checkpoint,
            tokenizer,
        })
    }
}
