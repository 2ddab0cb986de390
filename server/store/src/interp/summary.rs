//! What a job has found so far.

use std::collections::HashMap;

use latentd_domain::{
    JobId,
    autointerp::{AutointerpSpec, ExplainerKind, ScorerKind},
};
use sqlx::{Row, postgres::PgRow};

use super::{
    ExampleReason, Interp, ItemReason, Reduced, Spent,
    counts::{Counts, count},
    side_by_side::ExplainerSummary,
};
use crate::Error;

/// What a job has found so far.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSummary {
    /// Latents asked for.
    pub latents: u64,
    /// Latents with an explanation of the job.
    pub explained: u64,
    /// Its items, with the latents that were left out or failed.
    pub counts: Counts,
    /// For each scorer, in the order of the request.
    pub scorers: Vec<ScorerSummary>,
    /// What it cost.
    pub spent: Spent,
    /// Explainers side by side, for each scorer that grades explanations.
    pub explainers: Vec<ExplainerSummary>,
    /// Why items failed or were left out.
    pub reasons: Vec<ItemReason>,
    /// Latents that were shown with fewer examples than was asked for.
    pub reduced: Option<Reduced>,
    /// What the job does.
    pub spec: AutointerpSpec,
}

impl JobSummary {
    /// Whether the job gave any result: an explanation, where it makes some, or a scored example.
    pub fn has_results(&self) -> bool {
        let explains = self.spec.explainer.kind != ExplainerKind::None;
        (explains && self.explained > 0) || self.scorers.iter().any(|scorer| scorer.n > 0)
    }
}

/// What one scorer of a job has found.
#[derive(Clone, Debug, PartialEq)]
pub struct ScorerSummary {
    /// The scorer.
    pub scorer: ScorerKind,
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
    /// Examples with label and prediction true.
    pub true_positives: u64,
    /// Examples with a false label and a true prediction.
    pub false_positives: u64,
    /// Examples with label and prediction false.
    pub true_negatives: u64,
    /// Examples with a true label and a false prediction.
    pub false_negatives: u64,
    /// F1 over all examples.
    pub f1: Option<f64>,
    /// Mean of the F1 of each score, weighted by how often its latent fires.
    pub frequency_weighted_f1: Option<f64>,
    /// Balanced accuracy over all examples.
    pub balanced_accuracy: Option<f64>,
    /// Why examples could not be scored.
    pub reasons: Vec<ExampleReason>,
}

impl ScorerSummary {
    fn empty(scorer: ScorerKind) -> Self {
        Self {
            scorer,
            latents: 0,
            mean: None,
            median: None,
            n: 0,
            n_failed: 0,
            true_positives: 0,
            false_positives: 0,
            true_negatives: 0,
            false_negatives: 0,
            f1: None,
            frequency_weighted_f1: None,
            balanced_accuracy: None,
            reasons: Vec::new(),
        }
    }
}

impl Interp<'_> {
    /// What a job has found so far. Reads every score of the job, but none of their examples.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn summary(self, job: &JobId) -> Result<JobSummary, Error> {
        let spec: AutointerpSpec = serde_json::from_value(self.0.jobs().get(job).await?.spec)
            .map_err(|error| Error::unreadable("job", error))?;
        let progress = self.progress(job).await?;
        let explained: i64 = sqlx::query_scalar(
            "select count(distinct latent) from job_explanation where job_id = $1",
        )
        .bind(job.id())
        .fetch_one(self.0.pool())
        .await?;
        let mut found = self.by_stage(job).await?;
        let failures = self.example_reasons(job).await?;
        let scorers = (1i16..)
            .zip(&spec.scorers)
            .map(|(stage, scorer)| {
                let of_stage = failures.iter().filter(|failure| failure.stage == stage);
                let summary = match found.remove(&stage) {
                    Some(row) => read(&row, scorer.kind)?,
                    None => ScorerSummary::empty(scorer.kind),
                };
                Ok(ScorerSummary {
                    reasons: of_stage.cloned().collect(),
                    ..summary
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(JobSummary {
            latents: spec.latents.len() as u64,
            explained: explained.max(0) as u64,
            counts: progress.counts,
            scorers,
            spent: progress.spent,
            explainers: self.side_by_side(job, &spec).await?,
            reasons: self.reasons(job, &spec).await?,
            reduced: self.reduced(job).await?,
            spec,
        })
    }

    /// F1 is 2 TP / (2 TP + FP + FN), not defined where there is nothing to find and nothing was named. Frequency-weighted F1 is that
    /// of delphi (`log/result_analysis.py`), by the tokens on which the latent fires.
    async fn by_stage(self, job: &JobId) -> Result<HashMap<i16, PgRow>, Error> {
        let rows = sqlx::query(
            "select stage, count(distinct latent) filter (where value is not null) as latents, avg(value) as mean,
                 percentile_cont(0.5) within group (order by value) as median,
                 sum(n) as n, sum(n_failed) as n_failed, sum(true_positives) as true_positives,
                 sum(false_positives) as false_positives, sum(true_negatives) as true_negatives,
                 sum(false_negatives) as false_negatives,
                 2.0 * sum(true_positives)::double precision
                     / nullif(sum(2 * true_positives + false_positives + false_negatives), 0)::double precision as f1,
                 sum(f1 * firing_tokens) / nullif(sum(firing_tokens) filter (where f1 is not null), 0)::double precision
                     as frequency_weighted_f1,
                 (sum(true_positives)::double precision / nullif(sum(true_positives + false_negatives), 0)
                     + sum(true_negatives)::double precision / nullif(sum(true_negatives + false_positives), 0)) / 2
                     as balanced_accuracy
             from (
                 select *, 2.0 * true_positives::double precision
                     / nullif(2 * true_positives + false_positives + false_negatives, 0) as f1
                 from score where job_id = $1) s
             group by stage",
        )
        .bind(job.id())
        .fetch_all(self.0.pool())
        .await?;
        rows.into_iter()
            .map(|row| Ok((row.try_get("stage")?, row)))
            .collect()
    }
}

fn read(row: &PgRow, scorer: ScorerKind) -> Result<ScorerSummary, Error> {
    Ok(ScorerSummary {
        scorer,
        latents: count(row, "latents")?,
        mean: row.try_get("mean")?,
        median: row.try_get("median")?,
        n: count(row, "n")?,
        n_failed: count(row, "n_failed")?,
        true_positives: count(row, "true_positives")?,
        false_positives: count(row, "false_positives")?,
        true_negatives: count(row, "true_negatives")?,
        false_negatives: count(row, "false_negatives")?,
        f1: row.try_get("f1")?,
        frequency_weighted_f1: row.try_get("frequency_weighted_f1")?,
        balanced_accuracy: row.try_get("balanced_accuracy")?,
        ..ScorerSummary::empty(scorer)
    })
}
