//! Makes a provider out of what is registered: an endpoint with its key, or a model that is resident here.

use std::{sync::Arc, time::Duration};

use latentd_autointerp::provider::{
    Provider,
    key::{self, KeySource},
    openai::{self, OpenAi, OpenAiConfig},
};
use latentd_domain::{
    HasReason, ModelId, Reason,
    autointerp::{Limits, ProviderKind},
};
use latentd_engine::Handle;
use latentd_store::providers::NewProvider;
use secrecy::{ExposeSecret, SecretString};

use crate::{config::Keys, grpc::error::Error};

/// A provider, and what it was made from.
#[derive(Clone, Debug)]
pub(super) struct Made {
    provider: Arc<dyn Provider>,
    from: NewProvider,
    key: Option<SecretString>,
}

impl Made {
    /// The provider, without limits.
    pub(super) fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    /// Whether making it again gave the same. Connections are kept, then. Prices do not matter, and of the limits only how
    /// long a call may take.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let exposed = |made: &Self| made.key.as_ref().map(|key| key.expose_secret().to_owned());
        let alike = NewProvider {
            prices: other.from.prices,
            limits: Limits {
                timeout_seconds: self.from.limits.timeout_seconds,
                ..other.from.limits
            },
            ..self.from.clone()
        };
        alike == other.from
            && self.provider.identity() == other.provider.identity()
            && exposed(self) == exposed(other)
    }
}

/// Makes a provider.
///
/// Fails with `PROVIDER_KEY_MISSING`, or for a local model with `UNKNOWN_MODEL` or `WRONG_MODEL_KIND`.
pub(super) async fn made(engine: &Handle, keys: &Keys, from: &NewProvider) -> Result<Made, Error> {
    let (provider, key): (Arc<dyn Provider>, _) = match from.kind {
        ProviderKind::Openai => {
            let key = key(keys, from).await?;
            let config = OpenAiConfig {
                base_url: from.base_url.clone(),
                model: from.model.clone(),
                key: key.clone(),
                timeout: Duration::from_secs(u64::from(from.limits.timeout_seconds)),
                capabilities: from.capabilities.unwrap_or_default(),
                max_tokens: from.limits.max_tokens,
            };
            // Registered addresses were read before.
            let endpoint =
                OpenAi::new(config).map_err(|error| Error::internal(error.to_string()))?;
            (Arc::new(endpoint), key)
        }
        ProviderKind::Local => {
            let model: ModelId = from
                .model
                .parse()
                .map_err(|error: latentd_domain::IdError| Error::internal(error.to_string()))?;
            (super::local(engine, model)?, None)
        }
    };
    Ok(Made {
        provider,
        from: from.clone(),
        key,
    })
}

async fn key(keys: &Keys, from: &NewProvider) -> Result<Option<SecretString>, Error> {
    if from.key_source.is_empty() {
        return Ok(None);
    }
    let missing = |error: &dyn HasReason| Error::from_reason(error).with("provider", &from.id);
    let source: KeySource = from
        .key_source
        .parse()
        .map_err(|_| Error::new(Reason::ProviderKeyMissing, "its key source is malformed"))?;
    allowed(keys, &source, &from.base_url).map_err(|error| error.with("provider", &from.id))?;
    let key = key::resolve(&source, |name| keys.get(name)).await;
    key.map(Some).map_err(|error| missing(&error))
}

/// Fails unless the configuration lets this key be sent to the host of the address.
pub(crate) fn allowed(keys: &Keys, source: &KeySource, base_url: &str) -> Result<(), Error> {
    let url = openai::parse_base_url(base_url);
    let url = url.map_err(|error| Error::internal(error.to_string()))?;
    let host = url.host_str().unwrap_or_default();
    if keys.may_be_sent(source, host, url.port_or_known_default()) {
        return Ok(());
    }
    let message = format!(
        "{source} may not be sent to {host}: `providers.keys` in the server's configuration lists the keys and their hosts"
    );
    Err(Error::new(Reason::KeyNotAllowed, message))
}
