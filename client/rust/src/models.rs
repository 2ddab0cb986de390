//! ModelService: language models resident on the device, and their tokenizers.

use std::{ops::Range, time::SystemTime};

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Pages, Result, client::stub, retry::Repeat, time::system_time};

/// A resident language model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Resource name: `models/{model}`.
    pub name: String,
    /// Family, which is the architecture that runs it: `llama`, `gpt2`.
    pub family: String,
    /// Folder or file that it was read from, on the server.
    pub path: String,
    /// File format: `huggingface` or `gguf`.
    pub format: String,
    /// BLAKE3 digest of the weights.
    pub digest: String,
    /// Number format on the device.
    pub dtype: String,
    /// Number of transformer blocks.
    pub n_layers: u32,
    /// Width of the residual stream.
    pub d_model: u32,
    /// Attention heads of one block.
    pub n_heads: u32,
    /// Key and value heads of one block.
    pub n_kv_heads: u32,
    /// Width of one attention head.
    pub d_head: u32,
    /// Width of the MLP's hidden layer.
    pub d_mlp: u32,
    /// Number of token ids.
    pub vocab: u32,
    /// Longest sequence, in tokens.
    pub context_length: u32,
    /// Number of parameters.
    pub parameters: u64,
    /// Bytes that the model takes on the device.
    pub resident_bytes: u64,
    /// Canonical hook points, in TransformerLens' names.
    pub hook_points: Vec<String>,
    /// Id of the beginning-of-sequence token, if there is one.
    pub bos_token_id: Option<u32>,
    /// Id of the end-of-sequence token, if there is one.
    pub eos_token_id: Option<u32>,
    /// BLAKE3 digest of the tokenizer.
    pub tokenizer_digest: String,
    /// When it became resident.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub loaded: Option<SystemTime>,
    /// Tensors in the files that the architecture does not use.
    pub unused_tensors: Vec<String>,
}

/// Tokens of one text, in parallel arrays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenSequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Text of each token.
    pub tokens: Vec<String>,
    /// Bytes of the text that each token covers. A special token that is not in the text covers nothing.
    pub bytes: Vec<Range<u32>>,
    /// True for special tokens such as beginning-of-sequence.
    pub special: Vec<bool>,
}

impl Client {
    /// Resident models, by name.
    pub fn models(&self) -> Pages<Model> {
        let client = self.clone();
        Pages::new(move |page_token| {
            let client = client.clone();
            async move {
                let request = proto::ListModelsRequest {
                    page_size: 0,
                    page_token,
                };
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, model_service_client::ModelServiceClient)
                            .list_models(request)
                            .await
                    })
                    .await?;
                Ok((
                    page.models.into_iter().map(Model::from).collect(),
                    page.next_page_token,
                ))
            }
        })
    }

    /// One resident model.
    pub async fn model(&self, name: &str) -> Result<Model> {
        let request = proto::GetModelRequest {
            name: name.to_owned(),
        };
        let model = self.call(Repeat::Always, request, |request| async {
            stub!(self, model_service_client::ModelServiceClient)
                .get_model(request)
                .await
        });
        Ok(model.await?.into())
    }

    /// Makes a model resident: a Hugging Face folder or a GGUF file on the server's disk.
    ///
    /// Loading the same files under the same id again changes nothing.
    pub async fn load_model(&self, model_id: &str, path: &str) -> Result<Model> {
        self.load_model_as(model_id, path, "").await
    }

    /// Makes a model resident with the number format `dtype`: `f32`, or on a GPU `bf16`.
    pub async fn load_model_as(&self, model_id: &str, path: &str, dtype: &str) -> Result<Model> {
        let request = proto::LoadModelRequest {
            model_id: model_id.to_owned(),
            path: path.to_owned(),
            dtype: dtype.to_owned(),
        };
        let model = self.call(Repeat::Always, request, |request| async {
            stub!(self, model_service_client::ModelServiceClient)
                .load_model(request)
                .await
        });
        Ok(model.await?.into())
    }

    /// Removes a model from the device and returns the bytes given back. With `force` its SAEs go first; without it a
    /// model that has SAEs is refused.
    pub async fn unload_model(&self, name: &str, force: bool) -> Result<u64> {
        let request = proto::UnloadModelRequest {
            name: name.to_owned(),
            force,
        };
        let reply = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, model_service_client::ModelServiceClient)
                .unload_model(request)
                .await
        });
        Ok(reply.await?.freed_bytes)
    }

    /// The tokens that an encode of each text would see. `prepend_bos` is the model's habit unless given.
    pub async fn tokenize<T: Into<String>>(
        &self,
        model: &str,
        texts: impl IntoIterator<Item = T>,
        prepend_bos: Option<bool>,
    ) -> Result<Vec<TokenSequence>> {
        let request = proto::TokenizeRequest {
            name: model.to_owned(),
            texts: texts.into_iter().map(Into::into).collect(),
            prepend_bos,
        };
        let reply = self.call(Repeat::Always, request, |request| async {
            stub!(self, model_service_client::ModelServiceClient)
                .tokenize(request)
                .await
        });
        Ok(reply
            .await?
            .sequences
            .into_iter()
            .map(TokenSequence::from)
            .collect())
    }
}

impl From<proto::TokenSequence> for TokenSequence {
    fn from(sequence: proto::TokenSequence) -> Self {
        let ends = sequence.byte_ends.into_iter();
        Self {
            ids: sequence.ids,
            tokens: sequence.tokens,
            bytes: sequence
                .byte_starts
                .into_iter()
                .zip(ends)
                .map(|(start, end)| start..end)
                .collect(),
            special: sequence.special,
        }
    }
}

impl From<proto::Model> for Model {
    fn from(model: proto::Model) -> Self {
        Self {
            name: model.name,
            family: model.family,
            path: model.path,
            format: model.format,
            digest: model.digest,
            dtype: model.dtype,
            n_layers: model.n_layers,
            d_model: model.d_model,
            n_heads: model.n_heads,
            n_kv_heads: model.n_kv_heads,
            d_head: model.d_head,
            d_mlp: model.d_mlp,
            vocab: model.vocab,
            context_length: model.context_length,
            parameters: model.parameters,
            resident_bytes: model.resident_bytes,
            hook_points: model.hook_points,
            bos_token_id: model.bos_token_id,
            eos_token_id: model.eos_token_id,
            tokenizer_digest: model.tokenizer_digest,
            loaded: system_time(model.load_time),
            unused_tensors: model.unused_tensors,
        }
    }
}
