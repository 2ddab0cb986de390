//! Encoded prompts: tokens, and under each SAE the latents that fire on them.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use latentd_proto::v1 as proto;
use serde::Serialize;

use super::Scale;
use crate::{Dense, Error, Result, SparseRows, TopLatent, packed, saes::densities};

/// Encoded prompts.
///
/// Rows are tokens, those of all prompts one after the other; [`Encoded::rows_of`] tells which belong to a prompt.
/// Accessors without an SAE speak of the first one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Encoded {
    /// Tokens of each prompt, in the order of the request.
    pub prompts: Vec<EncodedPrompt>,
    /// Activations by SAE, in the order of the request; at least one.
    pub saes: Vec<SaeActivations>,
    /// BLAKE3 digest of the model's weights.
    pub model_digest: String,
    /// What the call cost.
    pub cost: Cost,
}

/// The tokens of one prompt, in parallel arrays.
pub type EncodedPrompt = crate::TokenSequence;

/// Activations of all prompts under one SAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SaeActivations {
    /// Resource name of the SAE.
    pub sae: String,
    /// Canonical hook point.
    pub hook_point: String,
    /// BLAKE3 digest of the SAE's weights.
    pub digest: String,
    /// Number of latents of the SAE.
    pub d_sae: usize,
    /// One row for each token. Latents ascend in a row, or with `top_k` go by falling activation.
    pub rows: SparseRows,
    /// Unit of the activations.
    pub scale: Scale,
    /// Latents that fired on more than 2 % of the tokens of the SAE's self-test, with the share on which each fired.
    pub dense_latents: BTreeMap<u32, f64>,
}

/// Latents that fire on more than this share of tokens are left out of lists of the strongest ones, unless asked for.
pub const MAX_DENSITY: f64 = 0.1;

impl SaeActivations {
    /// Share of tokens on which a latent fires, measured by the SAE's self-test; `None` if that is at most 2 %.
    pub fn density(&self, latent: u32) -> Option<f64> {
        self.dense_latents.get(&latent).copied()
    }

    /// Whether a latent fires on more than this share of tokens.
    pub fn is_denser(&self, latent: u32, max_density: f64) -> bool {
        self.density(latent)
            .is_some_and(|density| density > max_density)
    }
}

/// What a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Time between arrival and the start of the pass.
    #[serde(rename = "queue_seconds", serialize_with = "crate::time::seconds")]
    pub queue: Duration,
    /// Time of the pass, which other calls may have shared.
    #[serde(rename = "compute_seconds", serialize_with = "crate::time::seconds")]
    pub compute: Duration,
    /// Tokens of this call.
    pub tokens: u32,
    /// Tokens of all calls that shared the pass.
    pub batch_tokens: u32,
    /// Calls that shared the pass.
    pub batch_requests: u32,
}

impl Encoded {
    /// Activations under the first SAE.
    pub fn first(&self) -> &SaeActivations {
        #[expect(
            clippy::indexing_slicing,
            reason = "replies without an SAE are refused"
        )]
        &self.saes[0]
    }

    /// Text of each token of one prompt; empty if there is no such prompt.
    pub fn tokens(&self, prompt: usize) -> &[String] {
        self.prompts
            .get(prompt)
            .map_or(&[], |prompt| prompt.tokens.as_slice())
    }

    /// The rows that hold the tokens of one prompt.
    pub fn rows_of(&self, prompt: usize) -> Range<usize> {
        let length = |prompt: &EncodedPrompt| prompt.ids.len();
        let start = self.prompts.iter().take(prompt).map(length).sum();
        start..start + self.prompts.get(prompt).map_or(0, length)
    }

    /// Where each row begins in [`Encoded::latents`] and [`Encoded::activations`].
    pub fn row_offsets(&self) -> &[u32] {
        &self.first().rows.row_offsets
    }

    /// Latent indices, under the first SAE.
    pub fn latents(&self) -> &[u32] {
        &self.first().rows.latents
    }

    /// Activation of each of [`Encoded::latents`].
    pub fn activations(&self) -> &[f32] {
        &self.first().rows.activations
    }

    /// The latents with the highest activation on any token, strongest first, at most `count`. Latents that fire on more than
    /// [`MAX_DENSITY`] of tokens are left out: they would head every list.
    pub fn top(&self, count: usize) -> Vec<TopLatent> {
        self.top_within(count, MAX_DENSITY)
    }

    /// As [`Encoded::top`], without the latents that fire on more than `max_density` of tokens; 1 leaves none out. Densities are
    /// those of the SAE's self-test, which tells those above 2 %.
    pub fn top_within(&self, count: usize, max_density: f64) -> Vec<TopLatent> {
        let sae = self.first();
        let mut top = sae.rows.top(usize::MAX);
        top.retain(|top| !sae.is_denser(top.latent, max_density));
        top.truncate(count);
        top
    }

    /// Everything written out: `[tokens, d_sae]`.
    pub fn to_dense(&self) -> Dense {
        self.first().rows.to_dense(self.first().d_sae)
    }
}

impl TryFrom<proto::EncodeResponse> for Encoded {
    type Error = Error;

    fn try_from(reply: proto::EncodeResponse) -> Result<Self> {
        let prompts: Vec<EncodedPrompt> = reply.prompts.into_iter().map(prompt).collect();
        let tokens: usize = prompts.iter().map(|prompt| prompt.ids.len()).sum();
        let saes: Result<Vec<SaeActivations>> = reply
            .activations
            .into_iter()
            .map(SaeActivations::try_from)
            .collect();
        let saes = saes?;
        if saes.is_empty() || saes.iter().any(|sae| sae.rows.rows() != tokens) {
            return Err(Error::malformed("there is not one row for each token"));
        }
        let cost = reply.cost.unwrap_or_default();
        Ok(Self {
            prompts,
            saes,
            model_digest: reply.model_digest,
            cost: Cost {
                queue: Duration::from_micros(cost.queue_micros),
                compute: Duration::from_micros(cost.compute_micros),
                tokens: cost.tokens,
                batch_tokens: cost.batch_tokens,
                batch_requests: cost.batch_requests,
            },
        })
    }
}

fn prompt(prompt: proto::EncodedPrompt) -> EncodedPrompt {
    let ends = prompt.byte_ends.into_iter();
    EncodedPrompt {
        ids: prompt.ids,
        tokens: prompt.tokens,
        bytes: prompt
            .byte_starts
            .into_iter()
            .zip(ends)
            .map(|(start, end)| start..end)
            .collect(),
        special: prompt.special,
    }
}

impl TryFrom<proto::SaeActivations> for SaeActivations {
    type Error = Error;

    fn try_from(activations: proto::SaeActivations) -> Result<Self> {
        let scale = activations.scale().into();
        // Servers that do not know `packed` send the repeated fields.
        let rows = if activations.packed_row_offsets.is_empty() {
            SparseRows {
                row_offsets: activations.row_offsets,
                latents: activations.latents,
                activations: activations.activations,
            }
        } else {
            SparseRows {
                row_offsets: packed::u32s(&activations.packed_row_offsets)?,
                latents: packed::u32s(&activations.packed_latents)?,
                activations: packed::f32s(&activations.packed_activations)?,
            }
        };
        Ok(Self {
            sae: activations.sae,
            hook_point: activations.hook_point,
            digest: activations.sae_digest,
            d_sae: activations.d_sae as usize,
            rows: rows.checked()?,
            scale,
            dense_latents: densities(activations.dense_latents),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> proto::EncodeResponse {
        let prompt = |ids: &[u32]| proto::EncodedPrompt {
            ids: ids.to_vec(),
            tokens: ids.iter().map(|id| format!("t{id}")).collect(),
            ..Default::default()
        };
        proto::EncodeResponse {
            prompts: vec![prompt(&[1, 2]), prompt(&[3])],
            activations: vec![proto::SaeActivations {
                d_sae: 4,
                row_offsets: vec![0, 0, 2, 3],
                latents: vec![1, 3, 0],
                activations: vec![0.5, 1.5, 1.0],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn rows_belong_to_prompts() {
        let encoded = Encoded::try_from(reply()).unwrap();
        assert_eq!(
            (encoded.rows_of(0), encoded.rows_of(1), encoded.rows_of(2)),
            (0..2, 2..3, 3..3)
        );
        assert_eq!(encoded.tokens(1), ["t3"]);
        assert!(encoded.tokens(9).is_empty());
        assert_eq!(encoded.top(1)[0].latent, 3);
        assert_eq!(encoded.to_dense().row(2), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn packed_columns_are_those_of_the_repeated_fields() {
        let mut packed = reply();
        let sae = &mut packed.activations[0];
        let bytes = |values: Vec<u32>| values.into_iter().flat_map(u32::to_le_bytes).collect();
        sae.packed_row_offsets = bytes(std::mem::take(&mut sae.row_offsets));
        sae.packed_latents = bytes(std::mem::take(&mut sae.latents));
        let activations = std::mem::take(&mut sae.activations).into_iter();
        sae.packed_activations = activations.flat_map(f32::to_le_bytes).collect();
        let mut torn = packed.clone();
        torn.activations[0].packed_latents.pop();
        let plain = Encoded::try_from(reply()).unwrap();
        assert_eq!(Encoded::try_from(packed).unwrap(), plain);
        assert!(Encoded::try_from(torn).is_err());
    }

    #[test]
    fn latents_that_are_always_on_do_not_head_the_list() {
        let mut reply = reply();
        let dense = |latent, density| proto::LatentDensity { latent, density };
        reply.activations[0].dense_latents = vec![dense(0, 0.05), dense(3, 1.0)];
        let encoded = Encoded::try_from(reply).unwrap();
        let latents = |top: Vec<TopLatent>| top.iter().map(|top| top.latent).collect::<Vec<_>>();
        assert_eq!(latents(encoded.top(1)), [0]);
        assert_eq!(latents(encoded.top_within(9, 1.0)), [3, 0, 1]);
        assert_eq!(latents(encoded.top_within(9, 0.02)), [1]);
    }

    #[test]
    fn replies_that_do_not_fit_are_refused() {
        let mut short = reply();
        short.prompts.pop();
        let mut none = reply();
        none.activations.clear();
        let mut torn = reply();
        torn.activations[0].latents.pop();
        for reply in [short, none, torn] {
            assert!(Encoded::try_from(reply).is_err());
        }
    }
}
