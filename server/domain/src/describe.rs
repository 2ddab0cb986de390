//! What is known of a loaded model and a loaded SAE.

use serde::{Deserialize, Serialize};

use crate::HookPoint;

/// Number format of weights and activations on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit floating point.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
}

impl Dtype {
    /// `f32` or `bf16`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::Bf16 => "bf16",
        }
    }
}

/// What kind of device computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The processor, with tensors in the memory of the host.
    Cpu,
    /// A graphics card with memory of its own.
    Gpu,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelKind {
    /// It predicts tokens; SAEs read it.
    Language,
    /// It turns texts into vectors.
    SentenceEncoder,
}

impl ModelKind {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Language => "language model",
            Self::SentenceEncoder => "sentence encoder",
        }
    }
}

/// A loaded model.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// What it is for.
    pub kind: ModelKind,
    /// Family, which is the architecture that runs it: `llama`, `gpt2`; `bert` is a sentence encoder.
    pub family: &'static str,
    /// Folder or file that it was read from.
    pub path: String,
    /// `huggingface` or `gguf`.
    pub format: &'static str,
    /// BLAKE3 digest of the weight files, in hexadecimal.
    pub digest: String,
    /// Number format on the device.
    pub dtype: Dtype,
    /// Number of transformer blocks.
    pub n_layers: usize,
    /// Width of the residual stream; of a sentence encoder also that of its embeddings.
    pub d_model: usize,
    /// Attention heads of one block.
    pub n_heads: usize,
    /// Key and value heads of one block.
    pub n_kv_heads: usize,
    /// Width of one attention head.
    pub d_head: usize,
    /// Width of the MLP's hidden layer.
    pub d_mlp: usize,
    /// Number of token ids.
    pub vocab: usize,
    /// Longest sequence, in tokens. Longer texts are cut for a sentence encoder.
    pub context_length: usize,
    /// Number of parameters.
    pub parameters: u64,
    /// Bytes on the device.
    pub resident_bytes: u64,
    /// Beginning-of-sequence token, if the model has one.
    pub bos_token_id: Option<u32>,
    /// End-of-sequence token, if the model has one.
    pub eos_token_id: Option<u32>,
    /// BLAKE3 digest of the tokenizer, in hexadecimal.
    pub tokenizer_digest: String,
    /// Tensors in the files that the architecture does not use.
    pub unused_tensors: Vec<String>,
}

/// The mathematical form of an SAE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaeArchitecture {
    /// `relu(x W_enc + b_enc)`.
    Standard,
    /// A gate decides which latents fire, a second path how strongly.
    Gated,
    /// `h` where `h` is above the latent's threshold, else 0.
    JumpRelu,
    /// The `k` largest pre-activations of each token.
    TopK,
}

impl SaeArchitecture {
    /// Every architecture.
    pub const ALL: [SaeArchitecture; 4] = [Self::Standard, Self::Gated, Self::JumpRelu, Self::TopK];

    /// `standard`, `gated`, `jumprelu` or `topk`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Gated => "gated",
            Self::JumpRelu => "jumprelu",
            Self::TopK => "topk",
        }
    }
}

/// How an SAE normalises its input; the names are SAELens'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Normalisation {
    /// As it is.
    None,
    /// Multiplied by a factor that was measured on a dataset; folded into the weights at load.
    ExpectedAverageOnlyIn {
        /// The factor s.
        factor: f32,
    },
    /// Each token scaled to the norm √d_in.
    ConstantNormRescale,
    /// Each token centred and divided by its standard deviation (unbiased) plus 1e-5.
    LayerNorm,
}

impl Normalisation {
    /// SAELens' name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ExpectedAverageOnlyIn { .. } => "expected_average_only_in",
            Self::ConstantNormRescale => "constant_norm_rescale",
            Self::LayerNorm => "layer_norm",
        }
    }
}

/// A loaded SAE.
#[derive(Clone, Debug)]
pub struct SaeInfo {
    /// Folder that it was read from.
    pub path: String,
    /// `saelens`.
    pub format: &'static str,
    /// The mathematical form.
    pub architecture: SaeArchitecture,
    /// Where its input is read.
    pub hook_point: HookPoint,
    /// The hook point as the file spells it.
    pub declared_hook_point: String,
    /// Width of the input.
    pub d_in: usize,
    /// Number of latents.
    pub d_sae: usize,
    /// Latents that fire on each token, for [`SaeArchitecture::TopK`].
    pub k: Option<usize>,
    /// How the input is normalised.
    pub normalisation: Normalisation,
    /// `b_dec` is subtracted from the input.
    pub apply_b_dec_to_input: bool,
    /// Pre-activations are scaled by the decoder's norms before the top k are taken.
    pub rescale_acts_by_decoder_norm: bool,
    /// The input is `[n_heads, d_head]`, flattened.
    pub reshape_hook_z: bool,
    /// Trained with a beginning-of-sequence token.
    pub prepend_bos: bool,
    /// Length of the sequences that it was trained on, if known.
    pub context_length: Option<usize>,
    /// Model that the file names.
    pub trained_on_model: String,
    /// BLAKE3 digest of the weight file, in hexadecimal.
    pub digest: String,
    /// Number format in the file: `f32`, `f16`, `bf16`.
    pub stored_dtype: &'static str,
    /// Bytes on the device.
    pub resident_bytes: u64,
    /// L0 that the file declares: `k`, or `l0` of its metadata.
    pub declared_l0: Option<f64>,
    /// Id on Neuronpedia, if the file gives one.
    pub neuronpedia_id: Option<String>,
    /// Result of the test at load; `None` until it ran.
    pub self_test: Option<SelfTest>,
}

/// What an SAE does on the built-in text, special tokens left out.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTest {
    /// Tokens that were encoded.
    pub tokens: usize,
    /// Mean number of latents that fire on a token.
    pub l0: f64,
    /// `Σ‖x−x̂‖² / Σ‖x−mean(x)‖²` over the tokens.
    pub fvu: f64,
    /// The latents that fire on more than [`SelfTest::DENSE`] of the tokens, by index, with the share on which each fires.
    pub dense: Vec<(u32, f64)>,
    /// Findings that do not forbid the use of the SAE.
    pub warnings: Vec<String>,
}

impl SelfTest {
    /// Latents that fire on a larger share of the tokens are listed.
    pub const DENSE: f64 = 0.02;
    /// Most latents that are listed: the densest.
    pub const MAX_DENSE: usize = 1024;
}
