//! ServerService: what the server is, what it runs on, what it accepts.

use std::time::SystemTime;

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Error, Result, client::stub, retry::Repeat, time::system_time};

/// A description of the running server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerInfo {
    /// Version of the server.
    pub version: String,
    /// API packages served, such as `latentd.v1`.
    pub api_versions: Vec<String>,
    /// The device that models and SAEs are resident on.
    pub device: Device,
    /// Largest sizes that a request may have.
    pub limits: Limits,
    /// What the server can load and do.
    pub capabilities: Capabilities,
    /// When the server started.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub started: Option<SystemTime>,
    /// Id of its data folder: caches lie in one, and other servers on the database may have others.
    pub data_folder: String,
    /// State of the parts that the health service watches.
    pub components: Vec<ComponentHealth>,
}

/// The compute device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Device {
    /// Backend and index: `cpu` or `cuda:0`.
    pub name: String,
    /// Number format on the device: `f32` or `bf16`.
    pub dtype: String,
    /// Threads that the device computes with; 0 on a GPU.
    pub threads: u32,
    /// Bytes taken by resident models and SAEs.
    pub resident_bytes: u64,
}

/// Limits of one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Limits {
    /// Prompts in one encode.
    pub max_prompts: u32,
    /// Tokens in one encode, all prompts together.
    pub max_tokens: u32,
    /// SAEs in one encode.
    pub max_saes: u32,
    /// Largest `top_k` of an encode.
    pub max_top_k: u32,
    /// Latents in one call for examples.
    pub max_latents: u32,
    /// Examples for each latent.
    pub max_examples: u32,
    /// Tokens in the window of one example.
    pub max_window: u32,
    /// Entries on one page of a list.
    pub max_page_size: u32,
    /// Bytes of one message, in either direction.
    pub max_message_bytes: u64,
    /// Requests that may wait for the device.
    pub max_queued: u32,
    /// Tokens that one pass over the device computes at most.
    pub batch_tokens: u32,
    /// Bytes of one corpus that is uploaded.
    pub max_corpus_bytes: u64,
}

/// What the server supports, in the words that requests use.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Capabilities {
    /// Model families: `llama`, `gpt2`.
    pub model_families: Vec<String>,
    /// Model file formats.
    pub model_formats: Vec<String>,
    /// SAE architectures.
    pub sae_architectures: Vec<String>,
    /// SAE file formats.
    pub sae_formats: Vec<String>,
    /// Sites of a hook point, in TransformerLens' names.
    pub sites: Vec<String>,
    /// Corpus file formats.
    pub corpus_formats: Vec<String>,
    /// Explainers of [`Client::explain`].
    pub explainers: Vec<String>,
    /// Scorers of [`Client::explain`] and [`Client::score`].
    pub scorers: Vec<String>,
    /// Kinds of providers.
    pub provider_kinds: Vec<String>,
    /// Forms of [`Client::export_explanations`].
    pub export_forms: Vec<String>,
}

/// Health of one part of the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentHealth {
    /// `engine` or `database`.
    pub component: String,
    /// Whether the part answers.
    pub serving: bool,
    /// Why it does not, in words.
    pub detail: String,
}

impl Client {
    /// Versions, device, limits, and what is supported.
    pub async fn server_info(&self) -> Result<ServerInfo> {
        let info = self
            .call(
                Repeat::Always,
                proto::GetServerInfoRequest {},
                |request| async {
                    stub!(self, server_service_client::ServerServiceClient)
                        .get_server_info(request)
                        .await
                },
            )
            .await?;
        let missing = || Error::malformed("the description of the server is not complete");
        let device = info.device.ok_or_else(missing)?;
        let limits = info.limits.ok_or_else(missing)?;
        let capabilities = info.capabilities.ok_or_else(missing)?;
        Ok(ServerInfo {
            version: info.version,
            api_versions: info.api_versions,
            device: device.into(),
            limits: limits.into(),
            capabilities: capabilities.into(),
            started: system_time(info.start_time),
            data_folder: info.data_folder,
            components: info
                .components
                .into_iter()
                .map(ComponentHealth::from)
                .collect(),
        })
    }
}

impl From<proto::Device> for Device {
    fn from(device: proto::Device) -> Self {
        let proto::Device {
            name,
            dtype,
            threads,
            resident_bytes,
        } = device;
        Self {
            name,
            dtype,
            threads,
            resident_bytes,
        }
    }
}

impl From<proto::Limits> for Limits {
    fn from(limits: proto::Limits) -> Self {
        Self {
            max_prompts: limits.max_prompts,
            max_tokens: limits.max_tokens,
            max_saes: limits.max_saes,
            max_top_k: limits.max_top_k,
            max_latents: limits.max_latents,
            max_examples: limits.max_examples,
            max_window: limits.max_window,
            max_page_size: limits.max_page_size,
            max_message_bytes: limits.max_message_bytes,
            max_queued: limits.max_queued,
            batch_tokens: limits.batch_tokens,
            max_corpus_bytes: limits.max_corpus_bytes,
        }
    }
}

impl From<proto::Capabilities> for Capabilities {
    fn from(capabilities: proto::Capabilities) -> Self {
        Self {
            model_families: capabilities.model_families,
            model_formats: capabilities.model_formats,
            sae_architectures: capabilities.sae_architectures,
            sae_formats: capabilities.sae_formats,
            sites: capabilities.sites,
            corpus_formats: capabilities.corpus_formats,
            explainers: capabilities.explainers,
            scorers: capabilities.scorers,
            provider_kinds: capabilities.provider_kinds,
            export_forms: capabilities.export_forms,
        }
    }
}

impl From<proto::ComponentHealth> for ComponentHealth {
    fn from(health: proto::ComponentHealth) -> Self {
        let proto::ComponentHealth {
            component,
            serving,
            detail,
        } = health;
        Self {
            component,
            serving,
            detail,
        }
    }
}
