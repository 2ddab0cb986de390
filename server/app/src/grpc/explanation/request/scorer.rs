//! Who grades explanations: `Scorer`, with its defaults.

use latentd_domain::{
    ModelId, ProviderId,
    autointerp::{Calibration, ScorerKind, ScorerSpec},
};
use latentd_proto::v1::{self as pb, scorer::Kind};

use super::{MAX_TEMPERATURE, max_tokens};
use crate::grpc::parse::Violations;

/// Scorers of one job.
const MAX_SCORERS: usize = 32;
/// Examples in one prompt (delphi's `num_examples_per_scorer_prompt`).
const PER_PROMPT: usize = 5;
/// Most examples in one prompt.
const MAX_PER_PROMPT: usize = 100;
/// Share of an example's highest activation from which fuzzing marks tokens (delphi's `threshold`).
const THRESHOLD: f64 = 0.3;

/// Reads the field `scorers`. One that names no provider takes `default`.
pub(super) fn parse(
    violations: &mut Violations,
    messages: Vec<pb::Scorer>,
    default: Option<&ProviderId>,
) -> Vec<ScorerSpec> {
    if messages.len() > MAX_SCORERS {
        let description = format!("{} are more than {MAX_SCORERS}", messages.len());
        violations.invalid("scorers", description);
        return Vec::new();
    }
    let mut scorers: Vec<ScorerSpec> = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let field = format!("scorers[{index}]");
        let Some(scorer) = one(violations, &field, message, default) else {
            continue;
        };
        let same = |other: &ScorerSpec| {
            (other.kind, &other.provider, &other.encoder)
                == (scorer.kind, &scorer.provider, &scorer.encoder)
        };
        if scorers.iter().any(same) {
            let name = scorer.kind.as_str();
            violations.invalid(
                field,
                format!("{name} is there twice with the same provider"),
            );
        }
        scorers.push(scorer);
    }
    scorers
}

fn one(
    violations: &mut Violations,
    field: &str,
    message: pb::Scorer,
    default: Option<&ProviderId>,
) -> Option<ScorerSpec> {
    let of = |name: &str| format!("{field}.{name}");
    let kind = kind(violations, &of("kind"), message.kind)?;
    let named: Option<ProviderId> = violations.optional(&of("provider"), &message.provider);
    let encoder: Option<ModelId> = violations.optional(&of("encoder"), &message.encoder);
    let by_encoder = kind.uses_sentence_encoder();
    let provider = named.or_else(|| default.cloned());
    if !by_encoder && provider.is_none() && message.provider.is_empty() {
        let description = format!("must be set: {} asks a provider", kind.as_str());
        violations.invalid(of("provider"), description);
    }
    let examples_per_prompt = match message.examples_per_prompt {
        0 => PER_PROMPT,
        given => given as usize,
    };
    let least = if kind == ScorerKind::Intruder { 2 } else { 1 };
    if !(least..=MAX_PER_PROMPT).contains(&examples_per_prompt) {
        let description = format!("{examples_per_prompt} is not from {least} to {MAX_PER_PROMPT}");
        violations.invalid(of("examples_per_prompt"), description);
    }
    let threshold = message.threshold.unwrap_or(THRESHOLD);
    violations.within(&of("threshold"), threshold, 0.0..=1.0);
    violations.within(
        &of("temperature"),
        message.temperature,
        0.0..=MAX_TEMPERATURE,
    );
    max_tokens(violations, &of("max_tokens"), message.max_tokens);
    Some(ScorerSpec {
        kind,
        provider: provider.filter(|_| !by_encoder),
        encoder: encoder.filter(|_| by_encoder),
        examples_per_prompt,
        calibration: calibration(violations, &of("calibration"), message.calibration),
        threshold,
        temperature: message.temperature,
        max_tokens: message.max_tokens,
    })
}

fn kind(violations: &mut Violations, field: &str, value: i32) -> Option<ScorerKind> {
    let kind = match violations.choice(field, value, "Scorer.Kind") {
        Kind::Unspecified => {
            if value == Kind::Unspecified as i32 {
                violations.invalid(field, "must be set");
            }
            return None;
        }
        Kind::Detection => ScorerKind::Detection,
        Kind::Fuzzing => ScorerKind::Fuzzing,
        Kind::FuzzingActive => ScorerKind::FuzzingActive,
        Kind::Simulation => ScorerKind::Simulation,
        Kind::SimulationJson => ScorerKind::SimulationJson,
        Kind::Surprisal => ScorerKind::Surprisal,
        Kind::Embedding => ScorerKind::Embedding,
        Kind::ExampleEmbedding => ScorerKind::ExampleEmbedding,
        Kind::Intruder => ScorerKind::Intruder,
    };
    Some(kind)
}

fn calibration(violations: &mut Violations, field: &str, value: i32) -> Calibration {
    use pb::scorer::Calibration as From;
    match violations.choice(field, value, "Scorer.Calibration") {
        From::Unspecified | From::Uncalibrated => Calibration::Uncalibrated,
        From::Linear => Calibration::Linear,
        From::Percentile => Calibration::Percentile,
    }
}
