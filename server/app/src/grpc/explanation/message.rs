//! Explanations and scores as clients see them.

use latentd_domain::{LatentName, Reason, autointerp::ExamplePlan};
use latentd_proto::v1 as pb;
use latentd_store::{
    explanations::{Explanation, Hit, Provenance},
    interp::{ExampleReason, ExplainerSummary, JobSummary, Reduced, ScorerSummary},
    scores::{Score, ScoreExample},
};

use super::name::ExplanationName;
use crate::grpc::convert::{item_reason, spent, timestamp};

fn named(name: Option<impl ToString>) -> String {
    name.map(|name| name.to_string()).unwrap_or_default()
}

pub(super) fn explanation(explanation: Explanation) -> pb::Explanation {
    let Explanation {
        id,
        sae,
        latent,
        text,
        explainer,
        provenance: from,
        scores,
        create_time,
    } = explanation;
    pb::Explanation {
        name: ExplanationName::new(LatentName { sae, latent }, id).to_string(),
        latent,
        text,
        explainer,
        provenance: Some(provenance(from)),
        scores: scores.into_iter().map(score).collect(),
        create_time: Some(timestamp(create_time)),
        relevance: None,
    }
}

fn provenance(from: Provenance) -> pb::Provenance {
    let Provenance {
        job,
        provider,
        provider_model,
        prompt_version,
        sae_digest,
        cache,
        examples,
        seed,
        exchange,
        author,
    } = from;
    pb::Provenance {
        job: named(job),
        provider: named(provider),
        provider_model,
        prompt_version,
        sae_digest,
        cache: named(cache),
        examples: examples.iter().map(ToString::to_string).collect(),
        seed,
        exchange: exchange.unwrap_or_default(),
        author,
    }
}

/// An explanation that was searched for.
pub(super) fn hit(hit: Hit) -> pb::Explanation {
    pb::Explanation {
        relevance: Some(hit.relevance),
        ..explanation(hit.explanation)
    }
}

/// A score without its examples.
pub(super) fn score(score: Score) -> pb::Score {
    let Score {
        id,
        explanation,
        sae,
        latent,
        job,
        stage: _,
        scorer,
        value,
        n,
        n_failed,
        ci,
        metrics,
        firing_tokens: _,
        provider,
        provider_model,
        prompt_version,
        calibration,
        seed: _,
        create_time,
    } = score;
    let of = |id| ExplanationName::new(LatentName { sae, latent }, id);
    pb::Score {
        name: id.to_string(),
        explanation: named(explanation.map(of)),
        scorer: scorer.as_str().to_owned(),
        value,
        n,
        n_failed,
        ci_low: ci.map(|(low, _)| low),
        ci_high: ci.map(|(_, high)| high),
        metrics: metrics.into_iter().collect(),
        job: job.to_string(),
        provider: named(provider),
        provider_model,
        prompt_version,
        examples: Vec::new(),
        create_time: Some(timestamp(create_time)),
        latent,
        calibration,
    }
}

pub(super) fn score_example(example: ScoreExample) -> pb::ScoreExample {
    let ScoreExample {
        example,
        quantile,
        distance,
        label,
        prediction,
        probability,
        value,
        choice,
        chosen,
        truth,
        predicted,
        marked,
        failure,
        failure_detail: _,
        exchange,
    } = example;
    pb::ScoreExample {
        example: named(example),
        quantile,
        label,
        prediction,
        probability,
        value,
        choice,
        chosen,
        truth,
        predicted,
        marked,
        distance,
        failure: failure.map_or("", Reason::as_str).to_owned(),
        exchange: exchange.unwrap_or_default(),
    }
}

pub(super) fn summary(job: &latentd_domain::JobId, summary: JobSummary) -> pb::JobSummary {
    let JobSummary {
        latents,
        explained,
        counts,
        scorers,
        spent: cost,
        explainers,
        reasons,
        reduced: fewer,
        spec,
    } = summary;
    pb::JobSummary {
        job: job.to_string(),
        latents,
        explained,
        dead: counts.dead_latents,
        skipped: counts.skipped_latents,
        failed: counts.failed_latents,
        scorers: scorers.into_iter().map(scorer_summary).collect(),
        spent: Some(spent(cost)),
        explainers: explainers.into_iter().map(explainer_summary).collect(),
        reasons: reasons.into_iter().map(item_reason).collect(),
        cache: spec.cache.to_string(),
        reduced: fewer.map(|fewer| reduced(fewer, &spec.examples)),
    }
}

fn explainer_summary(summary: ExplainerSummary) -> pb::ExplainerSummary {
    pb::ExplainerSummary {
        scorer: summary.scorer.as_str().to_owned(),
        explainer: summary.explainer,
        own: summary.own,
        latents: summary.latents,
        mean: summary.mean,
        median: summary.median,
        n: summary.n,
        n_failed: summary.n_failed,
    }
}

fn reduced(reduced: Reduced, plan: &ExamplePlan) -> pb::Reduced {
    pb::Reduced {
        latents: reduced.latents,
        n_train: reduced.fewest.n_train,
        n_train_asked: plan.n_train as u32,
        n_test: reduced.fewest.n_test,
        n_test_asked: plan.n_test as u32,
        examples: reduced.examples,
    }
}

fn example_reason(reason: ExampleReason) -> pb::ExampleReason {
    pb::ExampleReason {
        reason: reason.reason.as_str().to_owned(),
        examples: reason.examples,
        detail: reason.detail,
        latents: reason.latents,
    }
}

fn scorer_summary(summary: ScorerSummary) -> pb::ScorerSummary {
    pb::ScorerSummary {
        scorer: summary.scorer.as_str().to_owned(),
        latents: summary.latents,
        mean: summary.mean,
        median: summary.median,
        n: summary.n,
        n_failed: summary.n_failed,
        true_positives: summary.true_positives,
        false_positives: summary.false_positives,
        true_negatives: summary.true_negatives,
        false_negatives: summary.false_negatives,
        f1: summary.f1,
        frequency_weighted_f1: summary.frequency_weighted_f1,
        balanced_accuracy: summary.balanced_accuracy,
        reasons: summary.reasons.into_iter().map(example_reason).collect(),
    }
}
