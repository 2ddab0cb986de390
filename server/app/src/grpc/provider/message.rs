//! A provider as clients see it.

use latentd_domain::autointerp::{Field, ProviderKind, Refused};
use latentd_proto::v1::{self as pb, provider::Kind};
use latentd_store::providers::Provider;

use crate::grpc::convert::timestamp;

fn names(refused: Refused) -> Vec<String> {
    let names = refused.fields().map(Field::as_str);
    names.map(str::to_owned).collect()
}

pub(super) fn provider(provider: Provider) -> pb::Provider {
    let kind = match provider.kind {
        ProviderKind::Openai => Kind::Openai,
        ProviderKind::Local => Kind::Local,
    };
    let (limits, prices, can) = (provider.limits, provider.prices, provider.capabilities);
    pb::Provider {
        name: provider.id.to_string(),
        kind: kind.into(),
        base_url: provider.base_url,
        model: provider.model,
        key_source: provider.key_source,
        limits: Some(pb::ProviderLimits {
            max_in_flight: limits.max_in_flight,
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            timeout_seconds: limits.timeout_seconds,
            max_tokens: limits.max_tokens,
        }),
        prices: Some(pb::ProviderPrices {
            prompt_per_million: prices.prompt_per_million,
            completion_per_million: prices.completion_per_million,
        }),
        capabilities: Some(pb::ProviderCapabilities {
            json_schema: can.json_schema,
            chat_logprobs: can.chat_logprobs,
            prompt_logprobs: can.prompt_logprobs,
            context_length: can.context_length,
            refused: names(can.refused),
        }),
        create_time: Some(timestamp(provider.create_time)),
        probe_time: provider.probe_time.map(timestamp),
    }
}
