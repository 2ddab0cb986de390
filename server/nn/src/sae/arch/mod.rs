//! The mathematics of SAEs, apart from any file format: what happens to the input, which latents fire, and the way back.
//!
//! One activation rule a file ([`standard`], [`gated`], [`jumprelu`], [`topk`]); what they share is the input pipeline
//! ([`input`]) and the decoder ([`decoder`]). A rule sees products `x · W_enc` and nothing of how they were made, so the
//! encoder may hand it any tile of them.

pub(crate) mod decoder;
pub(crate) mod gated;
pub(crate) mod input;
pub(crate) mod jumprelu;
pub(crate) mod standard;
pub(crate) mod topk;
pub(crate) mod vector;

pub(crate) use self::{
    decoder::Decoder,
    gated::Gated,
    input::InputPipeline,
    jumprelu::JumpRelu,
    standard::Standard,
    topk::TopK,
    vector::{LANES, LatentVector},
};

/// What turns products into activations, latent by latent.
#[cfg_attr(
    all(feature = "cuda", not(test)),
    expect(dead_code, reason = "a GPU applies the rules to tensors")
)]
pub(crate) trait ActivationRule: Sync {
    /// Replaces the products of the latents `LANES · chunk ..` by their activations: above 0 where a latent fires, not above 0
    /// (or NaN, where there is no such latent) where it does not.
    fn activate(&self, chunk: usize, products: &mut [f32; LANES]);
}

/// The rule of one SAE. A closed set: the encoder matches on it once a call, outside its loops.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// ReLU.
    Standard(Standard),
    /// A gate and a magnitude.
    Gated(Gated),
    /// ReLU above a threshold.
    JumpRelu(JumpRelu),
    /// The k largest.
    TopK(TopK),
}

impl Rule {
    /// Number of latents that it is for.
    pub(crate) fn d_sae(&self) -> usize {
        match self {
            Rule::Standard(rule) => rule.bias.latents(),
            Rule::Gated(rule) => rule.gate_bias.latents(),
            Rule::JumpRelu(rule) => rule.bias.latents(),
            Rule::TopK(rule) => rule.bias.latents(),
        }
    }

    /// Most latents that can fire on one token, if the rule has such a bound.
    pub(crate) fn k(&self) -> Option<usize> {
        match self {
            Rule::TopK(rule) => Some(rule.k),
            Rule::Standard(_) | Rule::Gated(_) | Rule::JumpRelu(_) => None,
        }
    }

    /// Bias of `latent` in the product that decides whether it fires.
    pub(crate) fn bias(&self, latent: usize) -> f32 {
        let biases = match self {
            Rule::Standard(rule) => &rule.bias,
            Rule::Gated(rule) => &rule.gate_bias,
            Rule::JumpRelu(rule) => &rule.bias,
            Rule::TopK(rule) => &rule.bias,
        };
        biases.get(latent).unwrap_or_default()
    }

    /// Threshold of `latent`, where the rule has thresholds.
    pub(crate) fn threshold(&self, latent: usize) -> Option<f32> {
        match self {
            Rule::JumpRelu(rule) => rule.threshold.get(latent),
            Rule::Standard(_) | Rule::Gated(_) | Rule::TopK(_) => None,
        }
    }

    /// The same rule for `latents` alone, in their order. Of [`Rule::TopK`] it keeps the activations and not the choice,
    /// which needs all latents.
    pub(crate) fn subset(&self, latents: &[u32]) -> Rule {
        match self {
            Rule::Standard(rule) => Rule::Standard(rule.subset(latents)),
            Rule::Gated(rule) => Rule::Gated(rule.subset(latents)),
            Rule::JumpRelu(rule) => Rule::JumpRelu(rule.subset(latents)),
            Rule::TopK(rule) => Rule::TopK(rule.subset(latents)),
        }
    }

    /// Bytes of its vectors.
    pub(crate) fn bytes(&self) -> usize {
        let vectors = match self {
            Rule::Standard(_) => 1,
            Rule::JumpRelu(_) | Rule::TopK(_) => 2,
            Rule::Gated(_) => 3,
        };
        vectors * self.d_sae() * size_of::<f32>()
    }
}
