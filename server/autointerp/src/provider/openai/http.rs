//! One exchange over HTTP: what is sent, and what of the reply is believed.

use std::time::{Duration, SystemTime};

use latentd_domain::Reason;
use reqwest::{
    Client, Method, Response, Url,
    header::{AUTHORIZATION, HeaderValue},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use super::{ConfigError, refusal};
use crate::provider::CallError;

/// Bytes of the longest reply that is read: log-probabilities of a long text, many times over.
const MAX_REPLY: usize = 64 << 20;
/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Header that tells a repetition of a call from a new one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Connections to one endpoint.
pub(super) struct Http {
    client: Client,
    /// Base URL, without a slash at its end.
    base: String,
    key: Option<SecretString>,
}

/// Which path of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path {
    /// Below the base URL: OpenAI's API.
    Api(&'static str),
    /// Beside `v1` of the base URL: llama.cpp's own API.
    Root(&'static str),
}

/// An exchange that failed, with the reply that says so, if there was one.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: CallError,
    /// The reply.
    pub(super) body: Vec<u8>,
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        let body = Vec::new();
        Self { error, body }
    }
}

impl From<Failed> for CallError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Http {
    pub(super) fn new(
        base: &Url,
        key: Option<SecretString>,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        if let Some(key) = &key {
            bearer(key).ok_or(ConfigError::Key)?;
        }
        // Redirects are not followed: they would carry the key elsewhere, and a POST becomes a GET. Proxies of the environment
        // are not used: configuration has one place.
        let mut builder = Client::builder()
            .user_agent(concat!("latentd/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(timeout.min(CONNECT))
            .timeout(timeout);
        if base.scheme() == "http" {
            // Without TLS no certificates are needed, and the machine may have none.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self {
            client: builder.build().map_err(ConfigError::Tls)?,
            base: base.as_str().trim_end_matches('/').to_owned(),
            key,
        })
    }

    fn url(&self, path: Path) -> String {
        match path {
            Path::Api(path) => format!("{}{path}", self.base),
            Path::Root(path) => {
                let root = self.base.strip_suffix("/v1").unwrap_or(&self.base);
                format!("{root}{path}")
            }
        }
    }

    /// Asks for what lies at `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: Path) -> Result<T, CallError> {
        let request = self.client.request(Method::GET, self.url(path));
        Ok(self.exchange(request).await?)
    }

    /// Sends `body` to `path`. `key` tells repetitions from new calls.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: Path,
        body: &impl Serialize,
        key: &str,
    ) -> Result<T, Failed> {
        let request = self
            .client
            .request(Method::POST, self.url(path))
            .header(IDEMPOTENCY_KEY, key)
            .json(body);
        self.exchange(request).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        mut request: reqwest::RequestBuilder,
    ) -> Result<T, Failed> {
        if let Some(value) = self.key.as_ref().and_then(bearer) {
            request = request.header(AUTHORIZATION, value);
        }
        let result = async {
            let mut response = request.send().await.map_err(broken)?;
            let body = read(&mut response).await?;
            if let Err(error) = refusal::accept(&response, &body, SystemTime::now()) {
                return Err(Failed { error, body });
            }
            serde_json::from_slice(&body)
                .map_err(|error| Failed::from(refusal::malformed(&body, &error)))
        };
        result.await.map_err(|failed: Failed| Failed {
            error: CallError {
                detail: self.without_key(failed.error.detail),
                ..failed.error
            },
            body: failed.body,
        })
    }

    /// Endpoints may repeat a key that they refuse.
    fn without_key(&self, detail: String) -> String {
        match &self.key {
            Some(key) => detail.replace(key.expose_secret(), "***"),
            None => detail,
        }
    }
}

fn bearer(key: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn read(response: &mut Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_REPLY {
            return Err(CallError::never(
                Reason::ProviderMalformedReply,
                format!("the reply is longer than {} MiB", MAX_REPLY >> 20),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A connection that failed: before the reply, or in it.
fn broken(error: reqwest::Error) -> CallError {
    let (reason, what) = if error.is_timeout() && !error.is_connect() {
        (Reason::ProviderTimeout, "no answer in time")
    } else if error.is_connect() {
        (Reason::ProviderUnreachable, "no connection")
    } else {
        (Reason::ProviderUnreachable, "the connection broke")
    };
    CallError::soon(reason, format!("{what}: {}", causes(&error.without_url())))
}

/// The innermost cause, which is the one that says something.
fn causes(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
