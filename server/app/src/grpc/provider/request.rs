//! What CreateProvider registers, read from its message.

use latentd_autointerp::{
    call::MAX_ANSWER,
    provider::{key::KeySource, openai},
};
use latentd_domain::{
    ModelId, ProviderId,
    autointerp::{Limits, MAX_TOKENS_LOCAL, Prices, ProviderKind},
};
use latentd_proto::v1::{self as pb, provider::Kind};
use latentd_store::providers::NewProvider;

use crate::{
    config::Keys,
    grpc::{error::Error, parse::Violations},
    providers::allowed,
};

/// Calls under way at once, of an endpoint and of a resident model, if the request does not say.
const IN_FLIGHT: u32 = 64;
const IN_FLIGHT_LOCAL: u32 = 8;
/// Most calls under way at once.
const MAX_IN_FLIGHT: u32 = 1 << 16;
/// Seconds that one call may take.
const MAX_TIMEOUT: u32 = 86_400;
/// Longest name of a model.
const MAX_MODEL: usize = 512;
/// Highest price, in dollars for a million tokens.
const MAX_PRICE: f64 = 1e6;

/// A parsed request.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) provider: NewProvider,
    pub(super) skip_probe: bool,
}

/// Reads the message.
pub(super) fn parse(request: pb::CreateProviderRequest, keys: &Keys) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let id: Option<ProviderId> = violations.parsed("provider_id", &request.provider_id);
    let Some(message) = request.provider else {
        violations.invalid("provider", "must be set");
        return violations.finish(None);
    };
    let kind = kind(&mut violations, message.kind);
    let (base_url, key_source) = match kind {
        Some(ProviderKind::Openai) => {
            let url = base_url(&mut violations, &message.base_url);
            let source = key_source(&mut violations, &message.key_source);
            if let (Some(url), Some(source)) = (&url, &source)
                && let Err(error) = allowed(keys, source, url)
            {
                violations.add("provider.key_source", error.reason(), error.to_string());
            }
            (url, source)
        }
        Some(ProviderKind::Local) => {
            for (field, given) in [
                ("provider.base_url", &message.base_url),
                ("provider.key_source", &message.key_source),
            ] {
                if !given.is_empty() {
                    violations.invalid(field, "a local model has none");
                }
            }
            (None, None)
        }
        None => (None, None),
    };
    let model = model(&mut violations, kind, message.model);
    let limits = limits(&mut violations, kind, message.limits.unwrap_or_default());
    let prices = prices(&mut violations, message.prices.unwrap_or_default());
    let skip_probe = request.skip_probe;
    violations.finish(id.zip(kind).map(|(id, kind)| Parsed {
        provider: NewProvider {
            id,
            kind,
            base_url: base_url.unwrap_or_default(),
            model,
            key_source: key_source.map_or_else(String::new, |source| source.to_string()),
            limits,
            prices,
            capabilities: None,
        },
        skip_probe,
    }))
}

fn kind(violations: &mut Violations, value: i32) -> Option<ProviderKind> {
    match violations.choice("provider.kind", value, "Provider.Kind") {
        Kind::Openai => Some(ProviderKind::Openai),
        Kind::Local => Some(ProviderKind::Local),
        Kind::Unspecified => {
            if value == Kind::Unspecified as i32 {
                violations.invalid("provider.kind", "must be set");
            }
            None
        }
    }
}

fn base_url(violations: &mut Violations, text: &str) -> Option<String> {
    if text.is_empty() {
        violations.invalid("provider.base_url", "must be set");
        return None;
    }
    openai::parse_base_url(text)
        .map(|url| url.to_string())
        .map_err(|error| violations.invalid("provider.base_url", error.to_string()))
        .ok()
}

/// Where the key is. What was given is not repeated: it may be the key itself.
fn key_source(violations: &mut Violations, text: &str) -> Option<KeySource> {
    if text.is_empty() {
        return None;
    }
    let field = "provider.key_source";
    text.parse::<KeySource>()
        .map_err(|error| violations.invalid(field, error.to_string()))
        .ok()
}

/// The model; of a resident one, its id alone.
fn model(violations: &mut Violations, kind: Option<ProviderKind>, text: String) -> String {
    let field = "provider.model";
    if kind == Some(ProviderKind::Local) {
        let id: Option<ModelId> = violations.parsed(field, &text);
        return id.map_or(text, |id| id.id().to_owned());
    }
    if text.is_empty() {
        violations.invalid(field, "must be set");
    }
    if text.len() > MAX_MODEL || text.chars().any(char::is_control) {
        let description = format!("is longer than {MAX_MODEL} bytes, or has control characters");
        violations.invalid(field, description);
    }
    text
}

fn limits(
    violations: &mut Violations,
    kind: Option<ProviderKind>,
    message: pb::ProviderLimits,
) -> Limits {
    let default = Limits::default();
    let or = |given: u32, default| if given == 0 { default } else { given };
    let (in_flight, max_tokens) = match kind {
        Some(ProviderKind::Local) => (IN_FLIGHT_LOCAL, MAX_TOKENS_LOCAL),
        Some(ProviderKind::Openai) | None => (IN_FLIGHT, default.max_tokens),
    };
    let limits = Limits {
        max_in_flight: or(message.max_in_flight, in_flight),
        requests_per_minute: message.requests_per_minute,
        tokens_per_minute: message.tokens_per_minute,
        timeout_seconds: or(message.timeout_seconds, default.timeout_seconds),
        max_tokens: or(message.max_tokens, max_tokens),
    };
    for (field, given, most) in [
        ("max_in_flight", limits.max_in_flight, MAX_IN_FLIGHT),
        ("timeout_seconds", limits.timeout_seconds, MAX_TIMEOUT),
        ("max_tokens", limits.max_tokens, MAX_ANSWER),
    ] {
        if given > most {
            let field = format!("provider.limits.{field}");
            violations.invalid(field, format!("{given} is more than {most}"));
        }
    }
    if i64::try_from(limits.tokens_per_minute).is_err() {
        let field = "provider.limits.tokens_per_minute";
        violations.invalid(field, "is too large");
    }
    limits
}

fn prices(violations: &mut Violations, message: pb::ProviderPrices) -> Prices {
    let prices = Prices {
        prompt_per_million: message.prompt_per_million,
        completion_per_million: message.completion_per_million,
    };
    for (field, price) in [
        ("prompt_per_million", prices.prompt_per_million),
        ("completion_per_million", prices.completion_per_million),
    ] {
        violations.within(&format!("provider.prices.{field}"), price, 0.0..=MAX_PRICE);
    }
    prices
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::config::Config;

    fn openai() -> pb::CreateProviderRequest {
        pb::CreateProviderRequest {
            provider_id: "openrouter".to_owned(),
            provider: Some(pb::Provider {
                kind: Kind::Openai.into(),
                base_url: "https://openrouter.ai/api/v1".to_owned(),
                model: "meta-llama/llama-3.1-70b-instruct".to_owned(),
                key_source: "env:OPENROUTER_API_KEY".to_owned(),
                ..pb::Provider::default()
            }),
            skip_probe: false,
        }
    }

    fn keys() -> Keys {
        Config::with_data_dir(std::path::Path::new("/nowhere"))
            .unwrap()
            .keys
    }

    fn fields(request: pb::CreateProviderRequest) -> Vec<String> {
        let status = tonic::Status::from(parse(request, &keys()).unwrap_err());
        let violations = status.get_details_bad_request().unwrap().field_violations;
        violations.into_iter().map(|v| v.field).collect()
    }

    #[test]
    fn an_endpoint_has_defaults() {
        let provider = parse(openai(), &keys()).unwrap().provider;
        assert_eq!(provider.limits, Limits::default());
        assert_eq!(provider.prices, Prices::default());
        assert_eq!(provider.key_source, "env:OPENROUTER_API_KEY");
    }

    #[test]
    fn a_local_model_has_neither_address_nor_key() {
        let mut request = openai();
        let provider = request.provider.as_mut().unwrap();
        provider.kind = Kind::Local.into();
        provider.model = "models/smollm2-135m".to_owned();
        assert_eq!(
            fields(request.clone()),
            ["provider.base_url", "provider.key_source"]
        );
        let provider = request.provider.as_mut().unwrap();
        provider.base_url.clear();
        provider.key_source.clear();
        let provider = parse(request, &keys()).unwrap().provider;
        assert_eq!(provider.model, "smollm2-135m");
        assert_eq!(provider.limits.max_in_flight, 8);
        assert_eq!(provider.limits.max_tokens, 512);
    }

    #[test]
    fn every_bad_field_is_reported() {
        let request = pb::CreateProviderRequest {
            provider_id: "Open Router".to_owned(),
            provider: Some(pb::Provider {
                kind: Kind::Openai.into(),
                base_url: "not a url".to_owned(),
                model: String::new(),
                key_source: "sk-secret".to_owned(),
                limits: Some(pb::ProviderLimits {
                    max_in_flight: u32::MAX,
                    tokens_per_minute: u64::MAX,
                    timeout_seconds: u32::MAX,
                    max_tokens: u32::MAX,
                    requests_per_minute: 0,
                }),
                prices: Some(pb::ProviderPrices {
                    prompt_per_million: -1.0,
                    completion_per_million: f64::NAN,
                }),
                ..pb::Provider::default()
            }),
            skip_probe: false,
        };
        let expected = [
            "provider_id",
            "provider.base_url",
            "provider.key_source",
            "provider.model",
            "provider.limits.max_in_flight",
            "provider.limits.timeout_seconds",
            "provider.limits.max_tokens",
            "provider.limits.tokens_per_minute",
            "provider.prices.prompt_per_million",
            "provider.prices.completion_per_million",
        ];
        assert_eq!(fields(request), expected);
        assert_eq!(
            fields(pb::CreateProviderRequest::default()),
            ["provider_id", "provider"]
        );
    }

    #[test]
    fn what_may_be_a_key_is_not_repeated_and_other_variables_are_out_of_reach() {
        let with = |source: &str| {
            let mut request = openai();
            request.provider.as_mut().unwrap().key_source = source.to_owned();
            parse(request, &keys()).map(|parsed| parsed.provider.key_source)
        };
        let error = with("sk-secret").unwrap_err();
        assert!(!error.to_string().contains("secret"));
        for source in ["env:DATABASE_URL", "env:MONKEY", "file:/run/secrets/key"] {
            let status = tonic::Status::from(with(source).unwrap_err());
            assert_eq!(status.code(), tonic::Code::PermissionDenied, "{source}");
        }
        assert!(with("env:OPENROUTER_API_KEY").is_ok());
        assert_eq!(with("").unwrap(), "");
    }
}
