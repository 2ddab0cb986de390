//! Scores of explanations, each with a row for every example that was shown: enough to compute it again.

mod examples;
mod insert;

use std::collections::{BTreeMap, HashMap};

use latentd_domain::{
    ExplanationId, IdError, JobId, ProviderId, Reason, SaeName, ScoreId,
    autointerp::{ExampleId, ScorerKind},
};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

pub(crate) use insert::{Placed, insert};

use crate::{Error, Store};

const TABLE: &str = "score";

/// The columns that [`read`] needs.
macro_rules! score_columns {
    () => {
        "id, explanation_id, sae, latent, job_id, stage, scorer, value, n, n_failed, ci_low, ci_high, metrics, \
         firing_tokens, provider, provider_model, prompt_version, calibration, seed, create_time"
    };
}

/// A score that is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewScore {
    /// What was scored; `None` for scorers that grade the latent itself.
    pub explanation: Option<ExplanationId>,
    /// Whose latent.
    pub sae: SaeName,
    /// Index of the latent.
    pub latent: u32,
    /// The scorer.
    pub scorer: ScorerKind,
    /// The score; `None` if it is not defined.
    pub value: Option<f64>,
    /// Examples that were scored.
    pub n: u32,
    /// Examples that could not be.
    pub n_failed: u32,
    /// Confidence interval of `value`.
    pub ci: Option<(f64, f64)>,
    /// Other measures by name; those that are not finite are left out.
    pub metrics: BTreeMap<String, f64>,
    /// How often the latent fires in the cache.
    pub firing_tokens: u64,
    /// Who was asked; `None` for a sentence encoder.
    pub provider: Option<ProviderId>,
    /// What the provider calls its model, or the sentence encoder.
    pub provider_model: String,
    /// Version of the prompt, such as `detection/1`.
    pub prompt_version: String,
    /// How a simulation was calibrated; empty for other scorers.
    pub calibration: String,
    /// Seed of random choices.
    pub seed: u64,
    /// A row for each example that was shown.
    pub examples: Vec<ScoreExample>,
}

/// One example that a scorer showed, and what came of it. Which fields are set depends on the scorer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreExample {
    /// The example; `None` where a row is of a whole prompt.
    pub example: Option<ExampleId>,
    /// Quantile that it was drawn from; `None` where the latent does not fire.
    pub quantile: Option<u32>,
    /// Similarity that chose it as one on which the latent does not fire.
    pub distance: Option<f64>,
    /// Truth of a classification.
    pub label: Option<bool>,
    /// What was said.
    pub prediction: Option<bool>,
    /// Probability of "yes".
    pub probability: Option<f64>,
    /// Cosine, difference of cosines, or fall of the loss.
    pub value: Option<f64>,
    /// Position of the intruder.
    pub choice: Option<u32>,
    /// Position that was named.
    pub chosen: Option<u32>,
    /// True value of each token.
    pub truth: Vec<f32>,
    /// Predicted value of each token.
    pub predicted: Vec<f32>,
    /// Tokens that were marked.
    pub marked: Vec<u32>,
    /// Why it was not scored.
    pub failure: Option<Reason>,
    /// Why exactly, for people.
    pub failure_detail: String,
    /// Hash of the exchange that it was shown in.
    pub exchange: Option<String>,
}

/// How good an explanation is, as one scorer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Its id.
    pub id: ScoreId,
    /// What was scored; `None` for scorers that grade the latent itself.
    pub explanation: Option<ExplanationId>,
    /// Whose latent.
    pub sae: SaeName,
    /// Index of the latent.
    pub latent: u32,
    /// The job that scored.
    pub job: JobId,
    /// Number of the scorer in the job, from 1.
    pub stage: u32,
    /// The scorer.
    pub scorer: ScorerKind,
    /// The score; `None` if it is not defined.
    pub value: Option<f64>,
    /// Examples that were scored.
    pub n: u32,
    /// Examples that could not be.
    pub n_failed: u32,
    /// Confidence interval of `value`.
    pub ci: Option<(f64, f64)>,
    /// Other measures by name.
    pub metrics: BTreeMap<String, f64>,
    /// How often the latent fires in the cache.
    pub firing_tokens: u64,
    /// Who was asked; `None` for a sentence encoder.
    pub provider: Option<ProviderId>,
    /// What the provider calls its model, or the sentence encoder.
    pub provider_model: String,
    /// Version of the prompt, such as `detection/1`.
    pub prompt_version: String,
    /// How a simulation was calibrated; empty for other scorers.
    pub calibration: String,
    /// Seed of random choices.
    pub seed: u64,
    /// When it was stored.
    pub create_time: OffsetDateTime,
}

/// Statements on tables `score` and `score_example`.
#[derive(Clone, Copy)]
pub struct Scores<'a>(pub(crate) &'a Store);

impl Scores<'_> {
    /// Looks a score up; its examples are told by [`Scores::examples`].
    ///
    /// # Errors
    /// [`Error::UnknownScore`].
    pub async fn get(self, id: &ScoreId) -> Result<Score, Error> {
        let row = sqlx::query(concat!(
            "select ",
            score_columns!(),
            " from score where id = $1"
        ))
        .bind(id.id())
        .fetch_optional(self.0.pool())
        .await?;
        read(&row.ok_or_else(|| Error::UnknownScore(id.clone()))?)
    }

    /// Scores of explanations, newest first, and with them those that the same jobs gave to their latents themselves.
    pub(crate) async fn of_explanations(
        self,
        ids: &[&str],
    ) -> Result<HashMap<ExplanationId, Vec<Score>>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query(concat!(
            "select explanation_id as of_explanation, ",
            score_columns!(),
            " from score where explanation_id = any($1)
              union all
              select j.of_explanation, ",
            score_columns!(),
            " from (select explanation_id as of_explanation, job_id as job, latent as of_latent from job_explanation
                    where explanation_id = any($1)) j
                join score on job_id = j.job and latent = j.of_latent and explanation_id is null
              order by create_time desc, stage, id"
        ))
        .bind(ids)
        .fetch_all(self.0.pool())
        .await?;
        let mut scores: HashMap<ExplanationId, Vec<Score>> = HashMap::new();
        for row in &rows {
            let explanation = row
                .try_get::<String, _>("of_explanation")?
                .parse()
                .map_err(|error: IdError| Error::unreadable(TABLE, error))?;
            scores.entry(explanation).or_default().push(read(row)?);
        }
        Ok(scores)
    }

    /// Scores that grade a latent itself and no explanation: of an SAE, or of a job, or both; up to `limit` after `after`, by id.
    pub async fn without_explanation(
        self,
        sae: Option<&SaeName>,
        job: Option<&JobId>,
        after: Option<&ScoreId>,
        limit: u32,
    ) -> Result<Vec<Score>, Error> {
        let rows = sqlx::query(concat!(
            "select ",
            score_columns!(),
            " from score where explanation_id is null and ($1::text is null or sae = $1) and ($2::text is null or job_id = $2)
                and ($3::text is null or id > $3)
              order by id limit $4"
        ))
        .bind(sae.map(ToString::to_string))
        .bind(job.map(JobId::id))
        .bind(after.map(ScoreId::id))
        .bind(i64::from(limit))
        .fetch_all(self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }
}

/// A score from a row with [`score_columns`].
fn read(row: &PgRow) -> Result<Score, Error> {
    let unreadable = |error: IdError| Error::unreadable(TABLE, error);
    let scorer: &str = row.try_get("scorer")?;
    let ci = (row.try_get("ci_low")?, row.try_get("ci_high")?);
    Ok(Score {
        id: row
            .try_get::<String, _>("id")?
            .parse()
            .map_err(unreadable)?,
        explanation: row
            .try_get::<Option<String>, _>("explanation_id")?
            .map(|id| id.parse().map_err(unreadable))
            .transpose()?,
        sae: row
            .try_get::<String, _>("sae")?
            .parse()
            .map_err(unreadable)?,
        latent: row.try_get::<i32, _>("latent")?.max(0) as u32,
        job: row
            .try_get::<String, _>("job_id")?
            .parse()
            .map_err(unreadable)?,
        stage: row.try_get::<i16, _>("stage")?.max(0) as u32,
        scorer: ScorerKind::parse(scorer)
            .ok_or_else(|| Error::unreadable(TABLE, format!("scorer {scorer}")))?,
        value: row.try_get("value")?,
        n: row.try_get::<i32, _>("n")?.max(0) as u32,
        n_failed: row.try_get::<i32, _>("n_failed")?.max(0) as u32,
        ci: match ci {
            (Some(low), Some(high)) => Some((low, high)),
            _ => None,
        },
        metrics: row
            .try_get::<Json<BTreeMap<String, f64>>, _>("metrics")
            .map_err(|error| Error::unreadable(TABLE, error))?
            .0,
        firing_tokens: row.try_get::<i64, _>("firing_tokens")?.max(0) as u64,
        provider: row
            .try_get::<Option<String>, _>("provider")?
            .map(|id| id.parse().map_err(unreadable))
            .transpose()?,
        provider_model: row.try_get("provider_model")?,
        prompt_version: row.try_get("prompt_version")?,
        calibration: row.try_get("calibration")?,
        seed: row.try_get::<i64, _>("seed")?.cast_unsigned(),
        create_time: row.try_get("create_time")?,
    })
}
