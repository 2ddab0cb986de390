//! What an Encode returns: which latents, in which unit, and what becomes of special tokens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Which latents of each token to return.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selection {
    /// Every latent that fires, by ascending index.
    AllFiring,
    /// The strongest `k` of those that fire, strongest first; equal activations by ascending index.
    TopK(u32),
    /// Those of the set that fire, by ascending index. The set is sorted and without duplicates.
    Latents(Arc<[u32]>),
}

/// Unit of activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scale {
    /// As the SAE computes them.
    #[default]
    Raw,
    /// Multiplied by the Euclidean norm of the latent's decoder row: Neuronpedia's convention.
    DecoderNorm,
}

/// What happens to special tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpecialTokens {
    /// They are part of the sequence, and nothing fires on them.
    #[default]
    Mask,
    /// They are encoded like any other token.
    Keep,
}
