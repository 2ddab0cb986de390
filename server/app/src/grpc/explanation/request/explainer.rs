//! Who writes explanations: `Explainer`, with its defaults.

use latentd_domain::{
    ProviderId,
    autointerp::{ExplainerKind, ExplainerSpec},
};
use latentd_proto::v1::{self as pb, explainer::Kind};

use super::{MAX_TEMPERATURE, max_tokens};
use crate::grpc::parse::Violations;

/// Share of an example's highest activation from which tokens are marked (delphi's `threshold`).
const THRESHOLD: f64 = 0.3;
/// The same for latents that fire on single tokens (delphi's `SingleTokenExplainer`).
const SINGLE_TOKEN_THRESHOLD: f64 = 0.6;

/// An explainer, and the provider that its scorers take if they name none.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) spec: ExplainerSpec,
    pub(super) provider: Option<ProviderId>,
}

/// The explainer of a job that only scores.
pub(super) fn none() -> ExplainerSpec {
    ExplainerSpec {
        kind: ExplainerKind::None,
        provider: None,
        threshold: THRESHOLD,
        chain_of_thought: false,
        temperature: 0.0,
        max_tokens: 0,
    }
}

/// Reads the field `explainer`.
pub(super) fn parse(violations: &mut Violations, message: Option<pb::Explainer>) -> Parsed {
    let message = message.unwrap_or_default();
    let kind = kind(violations, message.kind);
    let provider = violations.optional("explainer.provider", &message.provider);
    if kind.calls_provider() && message.provider.is_empty() {
        let description = format!("must be set: the explainer {} asks one", kind.as_str());
        violations.invalid("explainer.provider", description);
    }
    let default = match kind {
        ExplainerKind::SingleToken => SINGLE_TOKEN_THRESHOLD,
        ExplainerKind::Default
        | ExplainerKind::Contrastive
        | ExplainerKind::MaxActLogits
        | ExplainerKind::TopTokens
        | ExplainerKind::Completion
        | ExplainerKind::None
        | ExplainerKind::RandomBaseline => THRESHOLD,
    };
    let threshold = message.threshold.unwrap_or(default);
    violations.within("explainer.threshold", threshold, 0.0..=1.0);
    let temperature = message.temperature;
    violations.within("explainer.temperature", temperature, 0.0..=MAX_TEMPERATURE);
    max_tokens(violations, "explainer.max_tokens", message.max_tokens);
    let spec = ExplainerSpec {
        kind,
        provider: provider.clone().filter(|_| kind.calls_provider()),
        threshold,
        chain_of_thought: message.chain_of_thought,
        temperature,
        max_tokens: message.max_tokens,
    };
    Parsed { spec, provider }
}

fn kind(violations: &mut Violations, value: i32) -> ExplainerKind {
    match violations.choice("explainer.kind", value, "Explainer.Kind") {
        Kind::Unspecified | Kind::Default => ExplainerKind::Default,
        Kind::SingleToken => ExplainerKind::SingleToken,
        Kind::Contrastive => ExplainerKind::Contrastive,
        Kind::MaxActLogits => ExplainerKind::MaxActLogits,
        Kind::TopTokens => ExplainerKind::TopTokens,
        Kind::Completion => ExplainerKind::Completion,
        Kind::None => ExplainerKind::None,
        Kind::RandomBaseline => ExplainerKind::RandomBaseline,
    }
}
