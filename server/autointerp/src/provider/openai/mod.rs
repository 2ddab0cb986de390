//! An endpoint of OpenAI's API, reached over HTTP: vLLM, OpenRouter, llama.cpp, Ollama and others.
//!
//! Chat completions answer conversations. Log-probabilities of given text have no place in that API; [`score_text`] knows three
//! ways to get them, and finds out once which one the endpoint has.

mod chat;
mod complete;
mod dialect;
mod http;
#[cfg(test)]
mod outcomes;
mod probe;
#[cfg(test)]
mod probe_tests;
mod refusal;
mod room;
mod score_text;
mod wire;

use std::{fmt, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use latentd_domain::{HasReason, Reason, autointerp::Capabilities};
use reqwest::Url;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use self::{
    dialect::{Dialect, Form},
    http::{Http, Path},
    score_text::Method,
};
use super::{CallError, Provider};
use crate::{Call, call::Exchanged};

/// What is needed to reach an endpoint.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// Base URL, such as `https://openrouter.ai/api/v1`.
    pub base_url: String,
    /// What the endpoint calls its model.
    pub model: String,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<SecretString>,
    /// Longest time of one exchange.
    pub timeout: Duration,
    /// What was found out about it: what it cannot do is not asked of it.
    pub capabilities: Capabilities,
    /// Longest answer, in tokens, thinking included: of probes.
    pub max_tokens: u32,
}

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The base URL is not one.
    #[error(transparent)]
    BaseUrl(#[from] InvalidBaseUrl),
    /// The key holds characters that a header cannot.
    #[error("the provider's key holds characters that a header cannot hold")]
    Key,
    /// There are no certificates of authorities on this machine, or TLS cannot be set up.
    #[error("TLS cannot be set up; are certificates of authorities installed?")]
    Tls(#[source] reqwest::Error),
}

impl HasReason for ConfigError {
    fn reason(&self) -> Reason {
        match self {
            Self::BaseUrl(_) => Reason::InvalidRequest,
            Self::Key => Reason::ProviderKeyMissing,
            Self::Tls(_) => Reason::ProviderUnreachable,
        }
    }
}

/// Text that is not the base URL of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// Not a URL at all.
    #[error("expected a URL, such as http://localhost:8000/v1: {0}")]
    Malformed(String),
    /// Not HTTP.
    #[error("expected http:// or https://")]
    Scheme,
    /// Keys do not belong there, and a path is added to it.
    #[error("a base URL has no user name, password, query or fragment")]
    Extra,
}

/// The base URL of an endpoint, without a slash at its end.
pub fn parse_base_url(text: &str) -> Result<Url, InvalidBaseUrl> {
    let mut url =
        Url::parse(text.trim()).map_err(|error| InvalidBaseUrl::Malformed(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(InvalidBaseUrl::Scheme);
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidBaseUrl::Extra);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// An endpoint.
pub struct OpenAi {
    identity: String,
    model: String,
    capabilities: Capabilities,
    max_tokens: u32,
    http: Http,
    dialect: Dialect,
    method: OnceCell<Option<Method>>,
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl OpenAi {
    /// The endpoint of a configuration. Nothing is sent yet.
    pub fn new(config: OpenAiConfig) -> Result<Self, ConfigError> {
        let base = parse_base_url(&config.base_url)?;
        let identity = format!("{} {}", base.as_str().trim_end_matches('/'), config.model);
        Ok(Self {
            identity,
            model: config.model,
            capabilities: config.capabilities,
            http: Http::new(&base, config.key, config.timeout)?,
            dialect: Dialect::new(config.capabilities.refused),
            max_tokens: config.max_tokens,
            method: OnceCell::new(),
        })
    }

    /// Sends what `body` writes to `path`, anew where the endpoint refuses a part of it. `max_tokens` is the longest answer that
    /// the call asks for.
    async fn spoken<T: DeserializeOwned>(
        &self,
        path: Path,
        key: &str,
        max_tokens: u32,
        body: impl Fn(Form) -> Value,
    ) -> Result<T, CallError> {
        /// How often one request is written at most: each part refused on its own, and some for its length.
        const MOST: usize = 14;
        let mut form = Form {
            without: self.dialect.now(),
            room: None,
        };
        for _ in 0..MOST {
            // A request that was refused was not answered, and is not paid for.
            let refusal = match self.http.post(path, &body(form), key).await {
                Ok(reply) => {
                    self.dialect.keep(form.without);
                    return Ok(reply);
                }
                Err(refusal) => refusal,
            };
            match form.after(&refusal, max_tokens) {
                Some(other) => form = other,
                None => return Err(refusal.error),
            }
            tracing::debug!(
                identity = self.identity,
                detail = refusal.error.detail,
                "a request is written anew"
            );
        }
        Ok(self.http.post(path, &body(form), key).await?)
    }
}

impl Provider for OpenAi {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Exchanged, CallError>> {
        async move {
            match call {
                Call::Chat(chat) => self.chat(chat, self.capabilities, key).await,
                Call::Complete(complete) => self.complete(complete, key).await,
                Call::ScoreText(score) => self.score_text(score, key).await,
                Call::Embed(_) => Err(CallError::never(
                    Reason::ProviderLacksCapability,
                    "texts are embedded by a sentence encoder, not by a provider",
                )),
            }
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Capabilities, CallError>> {
        self.find_capabilities().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        let url = |text| parse_base_url(text).map(|url| url.to_string());
        assert_eq!(
            url("https://openrouter.ai/api/v1/").unwrap(),
            "https://openrouter.ai/api/v1"
        );
        assert_eq!(url("http://[::1]:8000").unwrap(), "http://[::1]:8000/");
        for text in [
            "",
            "localhost:8000/v1",
            "ftp://host/v1",
            "http://user:secret@host/v1",
            "http://host/v1?key=1",
            "http://host/v1#a",
        ] {
            let error = url(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn nothing_that_is_printed_holds_the_key() {
        let config = OpenAiConfig {
            base_url: "http://localhost/v1".to_owned(),
            model: "m".to_owned(),
            key: Some(SecretString::from("sk-secret")),
            timeout: Duration::from_secs(1),
            capabilities: Capabilities::default(),
            max_tokens: 512,
        };
        assert!(!format!("{config:?}").contains("sk-secret"));
        let provider = OpenAi::new(config).unwrap();
        assert!(!format!("{provider:?}").contains("sk-secret"));
        assert_eq!(provider.identity(), "http://localhost/v1 m");
    }
}
