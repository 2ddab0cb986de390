//! What to encode or decode, and how.

use latentd_proto::v1::{self as proto, encode_request::Selection, prompt::Content};
use serde::Serialize;

use crate::SparseRows;

/// One prompt, as text or as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Text; the model's tokenizer turns it into tokens.
    Text(String),
    /// Token ids, used as they are.
    Tokens(Vec<u32>),
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Prompt {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Vec<u32>> for Prompt {
    fn from(ids: Vec<u32>) -> Self {
        Self::Tokens(ids)
    }
}

/// What happens to special tokens such as beginning-of-sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialTokens {
    /// They are part of the sequence, and their rows are empty.
    #[default]
    Mask,
    /// They are encoded like any other.
    Keep,
}

impl From<SpecialTokens> for proto::SpecialTokens {
    fn from(special: SpecialTokens) -> Self {
        match special {
            SpecialTokens::Mask => Self::Mask,
            SpecialTokens::Keep => Self::Keep,
        }
    }
}

/// Unit of activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// As the SAE computes them.
    #[default]
    Raw,
    /// Multiplied by the norm of the latent's decoder row, which is Neuronpedia's convention.
    DecoderNorm,
}

impl From<Scale> for proto::ActivationScale {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Raw => Self::Raw,
            Scale::DecoderNorm => Self::DecoderNorm,
        }
    }
}

impl From<proto::ActivationScale> for Scale {
    fn from(scale: proto::ActivationScale) -> Self {
        match scale {
            proto::ActivationScale::Unspecified | proto::ActivationScale::Raw => Self::Raw,
            proto::ActivationScale::DecoderNorm => Self::DecoderNorm,
        }
    }
}

/// Prompts to encode. Every latent that fires is returned unless a selection says otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct EncodeRequest(proto::EncodeRequest);

impl EncodeRequest {
    /// Encodes `prompts` with `sae`: `{model}/{sae}`, or the full resource name.
    pub fn new<P: Into<Prompt>>(
        prompts: impl IntoIterator<Item = P>,
        sae: impl Into<String>,
    ) -> Self {
        let prompts = prompts.into_iter().map(|prompt| proto::Prompt {
            content: Some(match prompt.into() {
                Prompt::Text(text) => Content::Text(text),
                Prompt::Tokens(ids) => Content::TokenIds(proto::TokenIds { ids }),
            }),
        });
        Self(proto::EncodeRequest {
            prompts: prompts.collect(),
            saes: vec![sae.into()],
            packed: true,
            ..Default::default()
        })
    }

    /// Adds another SAE of the same model. The model runs once for all.
    pub fn and_sae(mut self, sae: impl Into<String>) -> Self {
        self.0.saes.push(sae.into());
        self
    }

    /// Only the strongest `k` latents of each token.
    pub fn top_k(mut self, k: u32) -> Self {
        self.0.selection = Some(Selection::TopK(k));
        self
    }

    /// Only these latents, where they fire.
    pub fn latents(mut self, latents: impl IntoIterator<Item = u32>) -> Self {
        let latents = latents.into_iter().collect();
        self.0.selection = Some(Selection::Latents(proto::LatentSet { latents }));
        self
    }

    /// Whether texts get a beginning-of-sequence token in front. What the first SAE was trained on, unless set.
    pub fn prepend_bos(mut self, prepend: bool) -> Self {
        self.0.prepend_bos = Some(prepend);
        self
    }

    /// What happens to special tokens.
    pub fn special_tokens(mut self, special: SpecialTokens) -> Self {
        self.0.set_special_tokens(special.into());
        self
    }

    /// Unit of the activations.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.0.set_scale(scale.into());
        self
    }

    pub(crate) fn into_proto(self) -> proto::EncodeRequest {
        self.0
    }
}

/// Latents to turn back into vectors.
#[derive(Clone, Debug)]
#[must_use]
pub struct DecodeRequest(proto::DecodeRequest);

impl DecodeRequest {
    /// Decodes each of `rows` with `sae`.
    pub fn new(sae: impl Into<String>, rows: SparseRows) -> Self {
        Self(proto::DecodeRequest {
            sae: sae.into(),
            row_offsets: rows.row_offsets,
            latents: rows.latents,
            activations: rows.activations,
            packed: true,
            ..Default::default()
        })
    }

    /// Unit of the activations.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.0.set_scale(scale.into());
        self
    }

    pub(crate) fn into_proto(self) -> proto::DecodeRequest {
        self.0
    }
}
