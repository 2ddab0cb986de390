//! Explainers side by side: what the scorers of a job gave its explanations, and what they gave those of others.

use latentd_domain::{
    JobId,
    autointerp::{AutointerpSpec, ExplainerKind, ScorerKind},
};
use sqlx::{Row, postgres::PgRow};

use super::{Interp, counts::count};
use crate::Error;

/// Explainers that others are measured by.
const BASELINES: [ExplainerKind; 2] = [ExplainerKind::TopTokens, ExplainerKind::RandomBaseline];

/// What one scorer gave the explanations of one explainer.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainerSummary {
    /// The scorer.
    pub scorer: ScorerKind,
    /// The explainer.
    pub explainer: String,
    /// The explanations are the job's own.
    pub own: bool,
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
}

impl ExplainerSummary {
    fn empty(scorer: ScorerKind, explainer: &str, own: bool) -> Self {
        Self {
            scorer,
            explainer: explainer.to_owned(),
            own,
            latents: 0,
            mean: None,
            median: None,
            n: 0,
            n_failed: 0,
        }
    }
}

impl Interp<'_> {
    /// For each scorer that grades explanations: the job's own, the baselines, and whoever else has scores of latents that the
    /// job has scored, by the same scorer and model over the same cache.
    pub(super) async fn side_by_side(
        self,
        job: &JobId,
        spec: &AutointerpSpec,
    ) -> Result<Vec<ExplainerSummary>, Error> {
        let rows = sqlx::query(
            "with own as (
                 select distinct stage, scorer, provider, provider_model, latent
                 from score where job_id = $1 and explanation_id is not null)
             select own.stage, e.explainer, s.job_id = $1 as own,
                 count(distinct s.latent) filter (where s.value is not null) as latents, avg(s.value) as mean,
                 percentile_cont(0.5) within group (order by s.value) as median, sum(s.n) as n, sum(s.n_failed) as n_failed
             from own
             join explanation e on e.sae = $2 and e.latent = own.latent
             join score s on s.explanation_id = e.id and s.scorer = own.scorer
                 and s.provider is not distinct from own.provider and s.provider_model = own.provider_model
             join job j on j.id = s.job_id
             where s.job_id = $1 and s.stage = own.stage
                 or s.job_id <> $1 and e.sae_digest = $3 and j.spec->>'cache' = $4
             group by own.stage, e.explainer, s.job_id = $1
             order by own.stage, s.job_id = $1 desc, e.explainer",
        )
        .bind(job.id())
        .bind(spec.sae.to_string())
        .bind(&spec.sae_digest)
        .bind(spec.cache.to_string())
        .fetch_all(self.0.pool())
        .await?;
        let mut summaries = Vec::new();
        for (stage, scorer) in (1i16..).zip(&spec.scorers) {
            if scorer.kind.needs_explanation() {
                let mut found = Vec::new();
                for row in &rows {
                    if row.try_get::<i16, _>("stage")? == stage {
                        found.push(read(row, scorer.kind)?);
                    }
                }
                summaries.extend(in_order(found, scorer.kind, spec.explainer.kind));
            }
        }
        Ok(summaries)
    }
}

/// The job's own first, then the baselines, scored or not, then others.
fn in_order(
    mut found: Vec<ExplainerSummary>,
    scorer: ScorerKind,
    explainer: ExplainerKind,
) -> Vec<ExplainerSummary> {
    let mut ordered: Vec<ExplainerSummary> = found.extract_if(.., |summary| summary.own).collect();
    if ordered.is_empty() && explainer != ExplainerKind::None {
        ordered.push(ExplainerSummary::empty(scorer, explainer.as_str(), true));
    }
    for baseline in BASELINES.map(ExplainerKind::as_str) {
        let of_others = found
            .iter()
            .position(|summary| summary.explainer == baseline);
        match of_others {
            Some(at) => ordered.push(found.remove(at)),
            None if ordered.iter().any(|summary| summary.explainer == baseline) => {}
            None => ordered.push(ExplainerSummary::empty(scorer, baseline, false)),
        }
    }
    ordered.extend(found);
    ordered
}

fn read(row: &PgRow, scorer: ScorerKind) -> Result<ExplainerSummary, Error> {
    Ok(ExplainerSummary {
        scorer,
        explainer: row.try_get("explainer")?,
        own: row.try_get("own")?,
        latents: count(row, "latents")?,
        mean: row.try_get("mean")?,
        median: row.try_get("median")?,
        n: count(row, "n")?,
        n_failed: count(row, "n_failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baselines_are_in_every_summary() {
        let of = |explainer: &str, own| ExplainerSummary {
            latents: 1,
            ..ExplainerSummary::empty(ScorerKind::Detection, explainer, own)
        };
        let names = |found, explainer| {
            let ordered = in_order(found, ScorerKind::Detection, explainer);
            let name =
                |summary: ExplainerSummary| (summary.explainer, summary.own, summary.latents);
            ordered.into_iter().map(name).collect::<Vec<_>>()
        };
        let row = |name: &str, own, latents| (name.to_owned(), own, latents);
        let found = vec![
            of("default", true),
            of("contrastive", false),
            of("top_tokens", false),
        ];
        assert_eq!(
            names(found, ExplainerKind::Default),
            [
                row("default", true, 1),
                row("top_tokens", false, 1),
                row("random_baseline", false, 0),
                row("contrastive", false, 1),
            ]
        );
        // A baseline that is the job's own is there once.
        assert_eq!(
            names(vec![of("top_tokens", true)], ExplainerKind::TopTokens),
            [row("top_tokens", true, 1), row("random_baseline", false, 0)]
        );
        assert_eq!(
            names(Vec::new(), ExplainerKind::Default)[0],
            row("default", true, 0)
        );
    }
}
