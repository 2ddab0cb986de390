//! What ExplainLatents and ScoreExplanations ask for, read from their messages: every field is looked at, and what is left out
//! has its default. What only the server's state can tell is checked in [`super::submit`].

pub(in crate::grpc) mod budget;
mod explainer;
mod plan;
mod scorer;

use latentd_autointerp::call::MAX_ANSWER;
use latentd_domain::{
    CacheId, ExplanationId, Reason, SaeName,
    autointerp::{Budget, ExamplePlan, ExplainerKind, ExplainerSpec, ScorerSpec},
};
use latentd_proto::v1::{
    self as pb, explain_latents_request::Selector as ExplainSelector,
    score_explanations_request::Selector as ScoreSelector,
};

use super::name::ExplanationName;
use crate::{
    config::Limits,
    grpc::{error::Error, latents::Asked, parse::Violations},
};

/// Longest request id.
const MAX_REQUEST_ID: usize = 128;
/// Highest sampling temperature that endpoints of OpenAI's API take.
const MAX_TEMPERATURE: f64 = 2.0;
/// Explanations that one request may name.
const MAX_EXPLANATIONS: usize = 10_000;

/// A parsed request.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    pub(super) sae: SaeName,
    pub(super) cache: Option<CacheId>,
    /// `None` for the latents of the explanations that are scored.
    pub(super) latents: Option<Asked>,
    pub(super) explainer: ExplainerSpec,
    pub(super) explanations: Vec<ExplanationId>,
    pub(super) scorers: Vec<ScorerSpec>,
    pub(super) examples: ExamplePlan,
    pub(super) budget: Budget,
}

/// Reads an ExplainLatents.
pub(super) fn explain(
    request: pb::ExplainLatentsRequest,
    limits: &Limits,
) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let sae = violations.parsed("sae", &request.sae);
    let cache = violations.optional("cache", &request.cache);
    let latents = match request.selector {
        Some(ExplainSelector::Latents(set)) => {
            Some(Asked::listed(&mut violations, set, limits.max_latents))
        }
        Some(ExplainSelector::Range(range)) => Some(Asked::range(&mut violations, range)),
        None => {
            violations.invalid("selector", "one of latents and range must be set");
            None
        }
    };
    let explainer = explainer::parse(&mut violations, request.explainer);
    let provider = explainer.provider.as_ref();
    let nothing = request.scorers.is_empty() && explainer.spec.kind == ExplainerKind::None;
    if nothing {
        let description = "the explainer none makes no explanations, so there must be a scorer";
        violations.add("scorers", Reason::EmptyBatch, description);
    }
    let scorers = scorer::parse(&mut violations, request.scorers, provider);
    let scored = !scorers.is_empty();
    let sampler = explainer.spec.kind.sampler();
    let examples = plan::parse(&mut violations, request.examples, sampler, (limits, scored));
    let budget = budget::parse(&mut violations, request.budget);
    check_request_id(&mut violations, &request.request_id);
    violations.finish(sae.map(|sae| Parsed {
        sae,
        cache,
        latents,
        explainer: explainer.spec,
        explanations: Vec::new(),
        scorers,
        examples,
        budget,
    }))
}

/// Reads a ScoreExplanations.
pub(super) fn score(
    request: pb::ScoreExplanationsRequest,
    limits: &Limits,
) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let sae = violations.parsed("sae", &request.sae);
    let cache = violations.optional("cache", &request.cache);
    let latents = request.selector.map(|selector| match selector {
        ScoreSelector::Latents(set) => Asked::listed(&mut violations, set, limits.max_latents),
        ScoreSelector::Range(range) => Asked::range(&mut violations, range),
    });
    let explanations = explanations(&mut violations, &request.explanations);
    if request.scorers.is_empty() {
        violations.add("scorers", Reason::EmptyBatch, "at least one is needed");
    }
    let scorers = scorer::parse(&mut violations, request.scorers, None);
    let sampler = ExplainerKind::None.sampler();
    let examples = plan::parse(&mut violations, request.examples, sampler, (limits, true));
    let budget = budget::parse(&mut violations, request.budget);
    check_request_id(&mut violations, &request.request_id);
    violations.finish(sae.map(|sae| Parsed {
        sae,
        cache,
        latents,
        explainer: explainer::none(),
        explanations,
        scorers,
        examples,
        budget,
    }))
}

fn explanations(violations: &mut Violations, names: &[String]) -> Vec<ExplanationId> {
    if names.len() > MAX_EXPLANATIONS {
        let description = format!("{} are more than {MAX_EXPLANATIONS}", names.len());
        violations.add("explanations", Reason::BatchTooLarge, description);
        return Vec::new();
    }
    let names: Vec<ExplanationName> = violations.names("explanations", names);
    names.into_iter().map(ExplanationName::into_id).collect()
}

/// The longest answer, in tokens; 0 for the provider's.
fn max_tokens(violations: &mut Violations, field: &str, given: u32) {
    if given > MAX_ANSWER {
        violations.invalid(field, format!("{given} is more than {MAX_ANSWER}"));
    }
}

fn check_request_id(violations: &mut Violations, id: &str) {
    if id.len() > MAX_REQUEST_ID {
        let description = format!("is longer than {MAX_REQUEST_ID} characters");
        violations.invalid("request_id", description);
    }
}

#[cfg(test)]
mod tests;
