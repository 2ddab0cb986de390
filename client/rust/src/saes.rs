//! SaeService: sparse autoencoders resident on the device, and their latents.

use std::{collections::BTreeMap, time::SystemTime};

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Pages, Result, client::stub, retry::Repeat, time::system_time};

/// A resident sparse autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sae {
    /// Resource name: `models/{model}/saes/{sae}`.
    pub name: String,
    /// Folder that it was read from, on the server.
    pub path: String,
    /// File format: `saelens`.
    pub format: String,
    /// Architecture: `standard`, `gated`, `jumprelu` or `topk`.
    pub architecture: String,
    /// Canonical hook point, in TransformerLens' names.
    pub hook_point: String,
    /// The hook point as the file spells it.
    pub declared_hook_point: String,
    /// Width of the input.
    pub d_in: u32,
    /// Number of latents.
    pub d_sae: u32,
    /// Latents that fire on each token, of a `topk` SAE.
    pub k: Option<u32>,
    /// How the input is normalised, in SAELens' words.
    pub normalize_activations: String,
    /// The decoder's bias is subtracted from the input.
    pub apply_b_dec_to_input: bool,
    /// Pre-activations are scaled by the decoder's norms before the top k are taken.
    pub rescale_acts_by_decoder_norm: bool,
    /// How the input is reshaped: `none` or `hook_z`.
    pub reshape_activations: String,
    /// The SAE was trained on text with a beginning-of-sequence token.
    pub prepend_bos: bool,
    /// Length of the sequences that it was trained on, in tokens; 0 if the file does not say.
    pub context_length: u32,
    /// Model that the file says it was trained on.
    pub trained_on_model: String,
    /// BLAKE3 digest of the weights.
    pub digest: String,
    /// Number format of the weights in the file.
    pub stored_dtype: String,
    /// Bytes that it takes on the device.
    pub resident_bytes: u64,
    /// Result of the test that ran when it was loaded.
    pub self_test: Option<SelfTest>,
    /// When it became resident.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub loaded: Option<SystemTime>,
    /// Id on Neuronpedia, if the file gives one.
    pub neuronpedia_id: String,
}

/// What an SAE does on a text that is built into the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelfTest {
    /// Tokens that were encoded.
    pub tokens: u32,
    /// Mean number of latents that fire on a token.
    pub l0: f64,
    /// Fraction of variance unexplained.
    pub fvu: f64,
    /// L0 that the file declares, if it does.
    pub declared_l0: Option<f64>,
    /// Warnings, in words. The SAE can be used all the same.
    pub warnings: Vec<String>,
    /// Latents that fired on more than 2 % of the tokens, with the share on which each fired.
    pub dense_latents: BTreeMap<u32, f64>,
}

/// One direction of an SAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latent {
    /// Resource name: `models/{model}/saes/{sae}/latents/{latent}`.
    pub name: String,
    /// Index of the latent.
    pub latent: u32,
    /// Euclidean norm of the encoder's column.
    pub encoder_norm: f32,
    /// Euclidean norm of the decoder's row.
    pub decoder_norm: f32,
    /// Cosine between the two.
    pub encoder_decoder_cosine: Option<f32>,
    /// Encoder bias.
    pub encoder_bias: f32,
    /// JumpReLU threshold, of a `jumprelu` SAE.
    pub threshold: Option<f32>,
    /// Tokens whose logits the decoder's row raises most.
    pub top_logits: Vec<TokenLogit>,
    /// Tokens whose logits it lowers most.
    pub bottom_logits: Vec<TokenLogit>,
    /// Latents with the nearest decoder rows, nearest first.
    pub neighbours: Vec<Neighbour>,
}

/// A token and what a latent adds to its logit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenLogit {
    /// Token id.
    pub id: u32,
    /// Text of the token.
    pub token: String,
    /// Dot product of the decoder's row with the token's row of the unembedding.
    pub logit: f32,
}

/// A latent near another one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    /// Index of the latent.
    pub latent: u32,
    /// Cosine of the two decoder rows.
    pub cosine: f32,
}

/// An SAE to make resident.
#[derive(Clone, Debug)]
#[must_use]
pub struct LoadSaeRequest(proto::LoadSaeRequest);

impl LoadSaeRequest {
    /// The SAELens folder `path` on the server's disk, as `sae_id` of the resident `model`.
    pub fn new(
        model: impl Into<String>,
        sae_id: impl Into<String>,
        path: impl Into<String>,
    ) -> Self {
        Self(proto::LoadSaeRequest {
            parent: model.into(),
            sae_id: sae_id.into(),
            path: path.into(),
            ..Default::default()
        })
    }

    /// Factor of `expected_average_only_in`, where the file does not carry it.
    pub fn norm_scaling_factor(mut self, factor: f32) -> Self {
        self.0.norm_scaling_factor = Some(factor);
        self
    }

    /// Hook point to use in place of the one in the file, in any accepted spelling.
    pub fn hook_point(mut self, hook_point: impl Into<String>) -> Self {
        self.0.hook_point = hook_point.into();
        self
    }
}

impl Client {
    /// Resident SAEs of `model`, or of all models, by name.
    pub fn saes(&self, model: Option<&str>) -> Pages<Sae> {
        let client = self.clone();
        let parent = model.unwrap_or_default().to_owned();
        Pages::new(move |page_token| {
            let client = client.clone();
            let request = proto::ListSaesRequest {
                parent: parent.clone(),
                page_size: 0,
                page_token,
            };
            async move {
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, sae_service_client::SaeServiceClient)
                            .list_saes(request)
                            .await
                    })
                    .await?;
                Ok((
                    page.saes.into_iter().map(Sae::from).collect(),
                    page.next_page_token,
                ))
            }
        })
    }

    /// One resident SAE, with the report of its self-test.
    pub async fn sae(&self, name: &str) -> Result<Sae> {
        let request = proto::GetSaeRequest {
            name: name.to_owned(),
        };
        let sae = self.call(Repeat::Always, request, |request| async {
            stub!(self, sae_service_client::SaeServiceClient)
                .get_sae(request)
                .await
        });
        Ok(sae.await?.into())
    }

    /// Reads an SAE from the server's disk, tests it and makes it resident beside its model.
    ///
    /// Loading the same files under the same id again changes nothing.
    pub async fn load_sae(&self, request: LoadSaeRequest) -> Result<Sae> {
        let sae = self.call(Repeat::Always, request.0, |request| async {
            stub!(self, sae_service_client::SaeServiceClient)
                .load_sae(request)
                .await
        });
        Ok(sae.await?.into())
    }

    /// Removes an SAE from the device and returns the bytes given back.
    pub async fn unload_sae(&self, name: &str) -> Result<u64> {
        let request = proto::UnloadSaeRequest {
            name: name.to_owned(),
        };
        let reply = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, sae_service_client::SaeServiceClient)
                .unload_sae(request)
                .await
        });
        Ok(reply.await?.freed_bytes)
    }

    /// Describes one latent, `{model}/{sae}/{latent}`: norms, the `count` tokens it promotes and suppresses most, and its
    /// `count` nearest latents. A count of 0 takes the server's default.
    pub async fn latent(&self, name: &str, count: u32) -> Result<Latent> {
        let request = proto::GetLatentRequest {
            name: name.to_owned(),
            count,
        };
        let latent = self.call(Repeat::Always, request, |request| async {
            stub!(self, sae_service_client::SaeServiceClient)
                .get_latent(request)
                .await
        });
        Ok(latent.await?.into())
    }
}

impl From<proto::Sae> for Sae {
    fn from(sae: proto::Sae) -> Self {
        Self {
            name: sae.name,
            path: sae.path,
            format: sae.format,
            architecture: sae.architecture,
            hook_point: sae.hook_point,
            declared_hook_point: sae.declared_hook_point,
            d_in: sae.d_in,
            d_sae: sae.d_sae,
            k: sae.k,
            normalize_activations: sae.normalize_activations,
            apply_b_dec_to_input: sae.apply_b_dec_to_input,
            rescale_acts_by_decoder_norm: sae.rescale_acts_by_decoder_norm,
            reshape_activations: sae.reshape_activations,
            prepend_bos: sae.prepend_bos,
            context_length: sae.context_length,
            trained_on_model: sae.trained_on_model,
            digest: sae.digest,
            stored_dtype: sae.stored_dtype,
            resident_bytes: sae.resident_bytes,
            self_test: sae.self_test.map(SelfTest::from),
            loaded: system_time(sae.load_time),
            neuronpedia_id: sae.neuronpedia_id,
        }
    }
}

impl From<proto::SelfTest> for SelfTest {
    fn from(test: proto::SelfTest) -> Self {
        let proto::SelfTest {
            tokens,
            l0,
            fvu,
            declared_l0,
            warnings,
            dense_latents,
        } = test;
        Self {
            tokens,
            l0,
            fvu,
            declared_l0,
            warnings,
            dense_latents: densities(dense_latents),
        }
    }
}

/// Densities by latent.
pub(crate) fn densities(dense: Vec<proto::LatentDensity>) -> BTreeMap<u32, f64> {
    dense
        .into_iter()
        .map(|dense| (dense.latent, dense.density))
        .collect()
}

impl From<proto::Latent> for Latent {
    fn from(latent: proto::Latent) -> Self {
        let logits = |logits: Vec<proto::TokenLogit>| {
            logits
                .into_iter()
                .map(|l| TokenLogit {
                    id: l.id,
                    token: l.token,
                    logit: l.logit,
                })
                .collect()
        };
        Self {
            name: latent.name,
            latent: latent.latent,
            encoder_norm: latent.encoder_norm,
            decoder_norm: latent.decoder_norm,
            encoder_decoder_cosine: latent.encoder_decoder_cosine,
            encoder_bias: latent.encoder_bias,
            threshold: latent.threshold,
            top_logits: logits(latent.top_logits),
            bottom_logits: logits(latent.bottom_logits),
            neighbours: latent
                .neighbours
                .into_iter()
                .map(|n| Neighbour {
                    latent: n.latent,
                    cosine: n.cosine,
                })
                .collect(),
        }
    }
}
