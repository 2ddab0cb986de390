//! ProviderService: where language models that explain and score are reached.

mod create;

use std::time::SystemTime;

use latentd_proto::v1 as proto;
use serde::Serialize;

pub use create::CreateProviderRequest;

use crate::{Client, Pages, Result, client::stub, retry::Repeat, time::system_time};

/// How a provider is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// A kind that this client does not know.
    Unknown,
    /// An HTTP endpoint of OpenAI's API: vLLM, OpenRouter, llama.cpp, Ollama and others.
    Openai,
    /// A model that is resident in the server.
    Local,
}

/// A language model that jobs may use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provider {
    /// Resource name: `providers/{provider}`.
    pub name: String,
    /// How it is reached.
    pub kind: ProviderKind,
    /// Base URL of an endpoint; empty for a local model.
    pub base_url: String,
    /// Model: what the endpoint calls it, or the id of a resident model.
    pub model: String,
    /// Where the server finds the key: `env:NAME`, or `file:/path`; empty for none.
    pub key_source: String,
    /// What may be asked of it, by all servers on one database together.
    pub limits: ProviderLimits,
    /// What it costs.
    pub prices: ProviderPrices,
    /// What it can do, as found out when it was registered or last probed.
    pub capabilities: ProviderCapabilities,
    /// When it was registered.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub created: Option<SystemTime>,
    /// When its capabilities were found out.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub probed: Option<SystemTime>,
}

/// What may be asked of a provider; what is 0 takes the server's default, which for rates is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProviderLimits {
    /// Calls under way at once.
    pub max_in_flight: u32,
    /// Calls a minute.
    pub requests_per_minute: u32,
    /// Tokens a minute, prompts and answers together.
    pub tokens_per_minute: u64,
    /// Seconds that one call may take.
    pub timeout_seconds: u32,
    /// Longest answer of one call, in tokens, thinking included, where a job does not say.
    pub max_tokens: u32,
}

/// Prices, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ProviderPrices {
    /// Of a prompt.
    pub prompt_per_million: f64,
    /// Of an answer.
    pub completion_per_million: f64,
}

/// What a provider can do beyond answering text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProviderCapabilities {
    /// It answers in JSON of a given schema.
    pub json_schema: bool,
    /// It gives the log-probabilities of the tokens that it generates.
    pub chat_logprobs: bool,
    /// It gives the log-probabilities of the tokens of a given text: simulation and surprisal need it.
    pub prompt_logprobs: bool,
    /// Longest prompt and answer together, in tokens; 0 if it is not known.
    pub context_length: u32,
    /// Parts of a request that it refuses and is therefore not sent, such as `system` or `seed`.
    pub refused: Vec<String>,
}

impl Client {
    /// One provider.
    pub async fn provider(&self, name: &str) -> Result<Provider> {
        let request = proto::GetProviderRequest {
            name: name.to_owned(),
        };
        let provider = self.call(Repeat::Always, request, |request| async {
            stub!(self, provider_service_client::ProviderServiceClient)
                .get_provider(request)
                .await
        });
        Ok(provider.await?.into())
    }

    /// Providers, by name.
    pub fn providers(&self) -> Pages<Provider> {
        let client = self.clone();
        Pages::new(move |page_token| {
            let client = client.clone();
            async move {
                let request = proto::ListProvidersRequest {
                    page_size: 0,
                    page_token,
                };
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, provider_service_client::ProviderServiceClient)
                            .list_providers(request)
                            .await
                    })
                    .await?;
                Ok((
                    page.providers.into_iter().map(Provider::from).collect(),
                    page.next_page_token,
                ))
            }
        })
    }

    /// Asks a provider again what it can do, and stores the answer.
    pub async fn probe_provider(&self, name: &str) -> Result<Provider> {
        let request = proto::ProbeProviderRequest {
            name: name.to_owned(),
        };
        let provider = self.call(Repeat::Always, request, |request| async {
            stub!(self, provider_service_client::ProviderServiceClient)
                .probe_provider(request)
                .await
        });
        Ok(provider.await?.into())
    }

    /// Forgets a provider. Exchanges with it stay stored. Refused with `RESOURCE_IN_USE` while a job uses it.
    pub async fn delete_provider(&self, name: &str) -> Result<()> {
        let request = proto::DeleteProviderRequest {
            name: name.to_owned(),
        };
        let reply = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, provider_service_client::ProviderServiceClient)
                .delete_provider(request)
                .await
        });
        reply.await.map(|proto::DeleteProviderResponse {}| ())
    }
}

impl From<proto::Provider> for Provider {
    fn from(provider: proto::Provider) -> Self {
        let limits = provider.limits.unwrap_or_default();
        let prices = provider.prices.unwrap_or_default();
        let kind = match provider.kind() {
            proto::provider::Kind::Unspecified => ProviderKind::Unknown,
            proto::provider::Kind::Openai => ProviderKind::Openai,
            proto::provider::Kind::Local => ProviderKind::Local,
        };
        let capabilities = provider.capabilities.unwrap_or_default();
        Self {
            kind,
            name: provider.name,
            base_url: provider.base_url,
            model: provider.model,
            key_source: provider.key_source,
            limits: ProviderLimits {
                max_in_flight: limits.max_in_flight,
                requests_per_minute: limits.requests_per_minute,
                tokens_per_minute: limits.tokens_per_minute,
                timeout_seconds: limits.timeout_seconds,
                max_tokens: limits.max_tokens,
            },
            prices: ProviderPrices {
                prompt_per_million: prices.prompt_per_million,
                completion_per_million: prices.completion_per_million,
            },
            capabilities: ProviderCapabilities {
                json_schema: capabilities.json_schema,
                chat_logprobs: capabilities.chat_logprobs,
                prompt_logprobs: capabilities.prompt_logprobs,
                context_length: capabilities.context_length,
                refused: capabilities.refused,
            },
            created: system_time(provider.create_time),
            probed: system_time(provider.probe_time),
        }
    }
}
