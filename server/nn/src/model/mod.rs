//! Language models: one architecture a file, each of which only says how its weights become layers.

#[cfg(test)]
mod generation_tests;
mod gpt2;
mod gradients;
mod llama;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use burn::tensor::Tensor;
pub use gradients::Logit;
use gradients::TracedCopy;
use latentd_domain::{Dtype, ModelInfo, ModelKind, Site};
use latentd_files::Interrupt;

use crate::{
    device::Device,
    error::{ComputeError, LoadError},
    kernels::{Chosen, Kernels, Placement},
    layers::{Decoder, Parts},
    packed::PackedTokens,
    past::{Answers, ExtensionOn, PastOn},
    taps::{Captured, Taps},
    tokenizer::Tokenizer,
    weights::{Checkpoint, ModelConfig, ModelFiles},
};

/// A language model on this build's kernels.
pub type Model = ModelOn<Chosen>;

/// A language model on the device.
#[derive(Debug)]
pub struct ModelOn<K: Kernels> {
    info: ModelInfo,
    tokenizer: Arc<Tokenizer>,
    decoder: Decoder<K>,
    traced: TracedCopy,
}

impl<K: Kernels> ModelOn<K> {
    /// Loads a Hugging Face folder or a GGUF file.
    ///
    /// # Errors
    ///
    /// What the files lack or have wrong; [`LoadError::UnsupportedModel`] for an architecture, or a number format on this
    /// device, that is not supported.
    pub fn load(path: &Path, dtype: Dtype, device: &Device) -> Result<Self, LoadError> {
        Self::load_until(path, dtype, device, &Interrupt::new())
    }

    /// [`Model::load`], unless `interrupt` is raised before.
    ///
    /// # Errors
    ///
    /// As [`Model::load`], and [`LoadError::Interrupted`].
    pub fn load_until(
        path: &Path,
        dtype: Dtype,
        device: &Device,
        interrupt: &Interrupt,
    ) -> Result<Self, LoadError> {
        if dtype == Dtype::Bf16 && device.is_cpu() {
            let detail = "bf16 is for GPUs; on the CPU models are f32".to_owned();
            return Err(LoadError::UnsupportedModel {
                path: path.to_owned(),
                detail,
            });
        }
        let ModelFiles {
            format,
            config,
            mut checkpoint,
            tokenizer,
        } = ModelFiles::open_until(path, interrupt)?;
        let parts =
            device.install(|| parts(&config, &mut checkpoint, Placement { device, dtype }))?;
        let decoder = Decoder::new(parts, device);
        let dimensions = Dimensions::of(&config);
        let parameters = config
            .tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>() as u64)
            .sum();
        let info = ModelInfo {
            kind: ModelKind::Language,
            family: config.family(),
            path: path.display().to_string(),
            format,
            digest: checkpoint.digest()?,
            dtype,
            n_layers: dimensions.n_layers,
            d_model: dimensions.d_model,
            n_heads: dimensions.n_heads,
            n_kv_heads: dimensions.n_kv_heads,
            d_head: dimensions.d_head,
            d_mlp: dimensions.d_mlp,
            vocab: config.vocab(),
            context_length: dimensions.context_length,
            parameters,
            resident_bytes: decoder.bytes() as u64,
            bos_token_id: tokenizer.bos(),
            eos_token_id: tokenizer.eos(),
            tokenizer_digest: tokenizer.digest().to_owned(),
            unused_tensors: checkpoint.unused(),
        };
        Ok(Self {
            info,
            tokenizer: Arc::new(tokenizer),
            decoder,
            traced: TracedCopy::default(),
        })
    }

    /// What is known of the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// Width of the activations at `site`.
    pub fn width(&self, site: Site) -> usize {
        let info = &self.info;
        match site {
            Site::AttnZ => info.n_heads * info.d_head,
            Site::MlpPost => info.d_mlp,
            Site::Embed
            | Site::ResidPre
            | Site::AttnOut
            | Site::ResidMid
            | Site::MlpOut
            | Site::ResidPost => info.d_model,
        }
    }

    /// Runs `tokens` up to the deepest of `taps` and no further. Row `i` of what is recorded belongs to token `i`.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownToken`], [`ComputeError::PromptTooLong`], [`ComputeError::HookPoint`].
    pub fn run(
        &self,
        tokens: &PackedTokens,
        taps: &Taps,
    ) -> Result<Captured<K::Backend>, ComputeError> {
        self.decoder.run(tokens, taps)
    }

    /// Logits of the token after each token, `[tokens, vocab]`.
    ///
    /// # Errors
    ///
    /// As [`Model::run`].
    pub fn logits(&self, tokens: &PackedTokens) -> Result<Tensor<K::Backend, 2>, ComputeError> {
        self.decoder.logits(tokens)
    }

    /// An empty past with room for `capacity` tokens of one sequence. On the CPU memory is taken from the system as tokens
    /// come.
    pub fn past(&self, capacity: usize) -> PastOn<K> {
        self.decoder.past(capacity)
    }

    /// Adds new tokens to sequences and answers what is asked of the logits behind them, which exist a few rows at a time.
    ///
    /// On the CPU a sequence has the same bits in whatever pieces it comes and whatever it is computed beside.
    ///
    /// # Errors
    ///
    /// [`ComputeError::UnknownToken`]; [`ComputeError::PromptTooLong`] for more tokens than the model's context or the past
    /// has room for. No past has changed then.
    pub fn extend(
        &self,
        extensions: &mut [ExtensionOn<'_, K>],
    ) -> Result<Vec<Answers>, ComputeError> {
        self.decoder.extend(extensions)
    }

    /// `x · W_U`, `[n, d_model]` to `[n, vocab]`: what directions of the residual stream do to the logits, the final norm left
    /// out.
    pub fn unembed(&self, x: Tensor<K::Backend, 2>) -> Tensor<K::Backend, 2> {
        self.decoder.unembed(&x)
    }
}

/// The layers of a family, from its configuration and weights.
fn parts<K: Kernels>(
    config: &ModelConfig,
    checkpoint: &mut Checkpoint,
    place: Placement<'_>,
) -> Result<Parts<K>, LoadError> {
    match config {
        ModelConfig::Llama(config) => llama::parts(config, checkpoint, place),
        ModelConfig::Gpt2(config) => gpt2::parts(config, checkpoint, place),
    }
}

/// What configurations of all families say.
struct Dimensions {
    n_layers: usize,
    d_model: usize,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
    d_mlp: usize,
    context_length: usize,
}

impl Dimensions {
    fn of(config: &ModelConfig) -> Self {
        match config {
            ModelConfig::Llama(c) => Self {
                n_layers: c.n_layers,
                d_model: c.d_model,
                n_heads: c.n_heads,
                n_kv_heads: c.n_kv_heads,
                d_head: c.d_head,
                d_mlp: c.d_mlp,
                context_length: c.context_length,
            },
            ModelConfig::Gpt2(c) => Self {
                n_layers: c.n_layers,
                d_model: c.d_model,
                n_heads: c.n_heads,
                n_kv_heads: c.n_heads,
                d_head: c.d_head(),
                d_mlp: c.d_mlp,
                context_length: c.context_length,
            },
        }
    }
}
