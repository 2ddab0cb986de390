//! CreateProvider: an endpoint or a resident model, its key's place, its limits and prices.

use latentd_proto::v1 as proto;
use tonic::Code;

use super::{Provider, ProviderLimits, ProviderPrices};
use crate::{Client, Error, Result, client::stub, retry::Repeat};

/// A provider to register. A provider of the same id is replaced.
#[derive(Clone, Debug)]
#[must_use]
pub struct CreateProviderRequest {
    request: proto::CreateProviderRequest,
    provider: proto::Provider,
}

impl CreateProviderRequest {
    /// An endpoint of OpenAI's API, such as `https://openrouter.ai/api/v1`, and what it calls the model.
    pub fn openai(
        id: impl Into<String>,
        base_url: impl Into<String>,
        model: impl Into<String>,
    ) -> Self {
        Self::new(
            id.into(),
            proto::Provider {
                kind: proto::provider::Kind::Openai.into(),
                base_url: base_url.into(),
                model: model.into(),
                ..Default::default()
            },
        )
    }

    /// A model that is resident in the server.
    pub fn local(id: impl Into<String>, model: impl Into<String>) -> Self {
        Self::new(
            id.into(),
            proto::Provider {
                kind: proto::provider::Kind::Local.into(),
                model: model.into(),
                ..Default::default()
            },
        )
    }

    fn new(provider_id: String, provider: proto::Provider) -> Self {
        let request = proto::CreateProviderRequest {
            provider_id,
            ..Default::default()
        };
        Self { request, provider }
    }

    /// Where the server finds the key: `env:NAME` for a variable of its environment, `file:/path` for a file of its disk. A
    /// key itself is refused here, and not sent.
    pub fn key_source(mut self, source: impl Into<String>) -> Self {
        self.provider.key_source = source.into();
        self
    }

    /// What may be asked of it.
    pub fn limits(mut self, limits: ProviderLimits) -> Self {
        self.provider.limits = Some(proto::ProviderLimits {
            max_in_flight: limits.max_in_flight,
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            timeout_seconds: limits.timeout_seconds,
            max_tokens: limits.max_tokens,
        });
        self
    }

    /// What it costs.
    pub fn prices(mut self, prices: ProviderPrices) -> Self {
        self.provider.prices = Some(proto::ProviderPrices {
            prompt_per_million: prices.prompt_per_million,
            completion_per_million: prices.completion_per_million,
        });
        self
    }

    /// Does not call the endpoint now: it is taken to be able to do nothing but answer text until it is probed.
    pub fn skip_probe(mut self) -> Self {
        self.request.skip_probe = true;
        self
    }

    fn message(self) -> Result<proto::CreateProviderRequest> {
        let source = &self.provider.key_source;
        if !source.is_empty() && !source.starts_with("env:") && !source.starts_with("file:") {
            // The text is not repeated: it may be the key.
            return Err(Error::local(
                Code::InvalidArgument,
                "a key source is `env:NAME` or `file:/path`; a key itself is never sent",
            ));
        }
        Ok(proto::CreateProviderRequest {
            provider: Some(self.provider),
            ..self.request
        })
    }
}

impl Client {
    /// Registers a provider, or replaces the one of that id, and finds out what it can do.
    pub async fn create_provider(&self, request: CreateProviderRequest) -> Result<Provider> {
        let provider = self.call(Repeat::Always, request.message()?, |request| async {
            stub!(self, provider_service_client::ProviderServiceClient)
                .create_provider(request)
                .await
        });
        Ok(provider.await?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_sent_and_not_repeated() {
        let request = CreateProviderRequest::openai("p", "http://h/v1", "m").key_source("sk-123");
        let error = request.clone().message().unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument);
        assert!(!error.to_string().contains("sk-123"));
        for source in ["", "env:KEY", "file:/run/key"] {
            assert!(request.clone().key_source(source).message().is_ok());
        }
    }
}
