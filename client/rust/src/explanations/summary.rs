//! GetJobSummary: what a job that explains and scores has found so far.

use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, ItemReason, Result, Spent, client::stub, retry::Repeat};

/// What a job has found so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobSummary {
    /// `jobs/{job}`.
    pub job: String,
    /// Latents asked for.
    pub latents: u64,
    /// Latents with an explanation of the job.
    pub explained: u64,
    /// Latents that never fire in the cache.
    pub dead: u64,
    /// Latents left out because they have too few examples, dead ones not counted.
    pub skipped: u64,
    /// Latents whose explanation failed.
    pub failed: u64,
    /// For each scorer, in the order of the request.
    pub scorers: Vec<ScorerSummary>,
    /// What it cost.
    pub spent: Spent,
    /// Explainers side by side, for each scorer that grades explanations: the job's own, then the baselines `top_tokens` and
    /// `random_baseline`, then others.
    pub explainers: Vec<ExplainerSummary>,
    /// Why items failed or were left out, those with the most items first.
    pub reasons: Vec<ItemReason>,
    /// `caches/{cache}` that it reads.
    pub cache: String,
    /// Latents that had fewer examples than the plan asks for, and were explained or scored with fewer.
    pub reduced: Option<Reduced>,
}

/// Latents of a job that were shown with fewer examples than its plan asks for, because the cache has no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reduced {
    /// How many latents.
    pub latents: u64,
    /// Fewest examples that an explainer was shown of one of them.
    pub n_train: u32,
    /// Examples that the plan asks for, for the explainer.
    pub n_train_asked: u32,
    /// Fewest examples on which the latent fires that a scorer was shown of one of them.
    pub n_test: u32,
    /// Examples on which the latent fires that the plan asks for, for scorers; 0 where nobody scores.
    pub n_test_asked: u32,
    /// Some of these latents, lowest first.
    pub examples: Vec<u32>,
}

/// Examples of one scorer that could not be scored for the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExampleReason {
    /// Error reason, such as `ANSWER_NOT_PARSED`.
    pub reason: String,
    /// How many examples.
    pub examples: u64,
    /// What exactly became of one of them, for people.
    pub detail: String,
    /// Some of their latents, lowest first.
    pub latents: Vec<u32>,
}

/// What one scorer gave the explanations of one explainer, of latents that the job has scored.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExplainerSummary {
    /// The scorer.
    pub scorer: String,
    /// The explainer.
    pub explainer: String,
    /// The explanations are the job's own.
    pub own: bool,
    /// Latents with a score; 0 for a baseline that was not scored.
    pub latents: u64,
    /// Mean of the scores.
    pub mean: Option<f64>,
    /// Median of the scores.
    pub median: Option<f64>,
    /// Examples that were scored.
    pub n: u64,
    /// Examples that could not be scored.
    pub n_failed: u64,
}

/// What one scorer of a job has found. What is not defined, such as a mean over nothing, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ScorerSummary {
    /// The scorer.
    pub scorer: String,
    /// Latents with a score.
    pub latents: u64,
    /// Mean of the scores.
    pub mean: Option<f64>,
    /// Median of the scores.
    pub median: Option<f64>,
    /// Examples that were scored.
    pub n: u64,
    /// Examples that could not be scored.
    pub n_failed: u64,
    /// Examples with label and prediction true; only of detection and fuzzing, as the ones below.
    pub true_positives: u64,
    /// Examples with a false label and a true prediction.
    pub false_positives: u64,
    /// Examples with label and prediction false.
    pub true_negatives: u64,
    /// Examples with a true label and a false prediction.
    pub false_negatives: u64,
    /// F1 over all examples.
    pub f1: Option<f64>,
    /// Mean of the latents' F1, each weighted by how often its latent fires.
    pub frequency_weighted_f1: Option<f64>,
    /// Balanced accuracy over all examples.
    pub balanced_accuracy: Option<f64>,
    /// Why examples could not be scored, those with the most examples first.
    pub reasons: Vec<ExampleReason>,
}

impl ScorerSummary {
    /// Whether the scorer sorts examples into two classes, so that the counts and F1 mean something.
    pub fn classifies(&self) -> bool {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives > 0
    }
}

impl Client {
    /// What a job that explains and scores has found so far.
    pub async fn job_summary(&self, name: &str) -> Result<JobSummary> {
        let request = proto::GetJobSummaryRequest {
            name: name.to_owned(),
        };
        let summary = self.call(Repeat::Always, request, |request| async {
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .get_job_summary(request)
                .await
        });
        Ok(summary.await?.into())
    }
}

impl From<proto::JobSummary> for JobSummary {
    fn from(summary: proto::JobSummary) -> Self {
        Self {
            job: summary.job,
            latents: summary.latents,
            explained: summary.explained,
            dead: summary.dead,
            skipped: summary.skipped,
            failed: summary.failed,
            scorers: summary
                .scorers
                .into_iter()
                .map(ScorerSummary::from)
                .collect(),
            spent: summary.spent.map(Spent::from).unwrap_or_default(),
            explainers: summary
                .explainers
                .into_iter()
                .map(ExplainerSummary::from)
                .collect(),
            reasons: summary.reasons.into_iter().map(ItemReason::from).collect(),
            cache: summary.cache,
            reduced: summary.reduced.map(Reduced::from),
        }
    }
}

impl From<proto::ExplainerSummary> for ExplainerSummary {
    fn from(summary: proto::ExplainerSummary) -> Self {
        Self {
            scorer: summary.scorer,
            explainer: summary.explainer,
            own: summary.own,
            latents: summary.latents,
            mean: summary.mean,
            median: summary.median,
            n: summary.n,
            n_failed: summary.n_failed,
        }
    }
}

impl From<proto::Reduced> for Reduced {
    fn from(reduced: proto::Reduced) -> Self {
        let proto::Reduced {
            latents,
            n_train,
            n_train_asked,
            n_test,
            n_test_asked,
            examples,
        } = reduced;
        Self {
            latents,
            n_train,
            n_train_asked,
            n_test,
            n_test_asked,
            examples,
        }
    }
}

impl From<proto::ExampleReason> for ExampleReason {
    fn from(reason: proto::ExampleReason) -> Self {
        let proto::ExampleReason {
            reason,
            examples,
            detail,
            latents,
        } = reason;
        Self {
            reason,
            examples,
            detail,
            latents,
        }
    }
}

impl From<proto::ScorerSummary> for ScorerSummary {
    fn from(summary: proto::ScorerSummary) -> Self {
        Self {
            scorer: summary.scorer,
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
            reasons: summary
                .reasons
                .into_iter()
                .map(ExampleReason::from)
                .collect(),
        }
    }
}
