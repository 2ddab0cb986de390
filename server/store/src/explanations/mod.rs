//! Explanations of latents: what somebody or something says that a latent means, and where that comes from.

mod insert;
mod list;
mod search;

use latentd_domain::{
    CacheId, ExplanationId, IdError, JobId, ProviderId, SaeName, autointerp::ExampleId,
};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) use insert::{insert, link, live};
pub use list::Filter;
pub use search::{Candidate, Hit};

use crate::{Error, Store, scores::Score};

const TABLE: &str = "explanation";

/// Name of the explainer of what was written by hand.
pub const HAND: &str = "hand";

/// The columns that [`read`] needs, of the table under the name `e`.
macro_rules! explanation_columns {
    () => {
        "e.id, e.sae, e.latent, e.text, e.explainer, e.job_id, e.provider, e.provider_model, e.prompt_version, e.sae_digest, \
         e.cache_id, e.examples, e.seed, e.exchange, e.author, e.create_time"
    };
}
use explanation_columns;

/// Where an explanation comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The job that made it; `None` if it was written by hand.
    pub job: Option<JobId>,
    /// Who was asked.
    pub provider: Option<ProviderId>,
    /// What the provider calls its model.
    pub provider_model: String,
    /// Version of the prompt, such as `default/1`.
    pub prompt_version: String,
    /// Digest of the weights of the SAE.
    pub sae_digest: String,
    /// The cache that the examples are from.
    pub cache: Option<CacheId>,
    /// Examples that were shown.
    pub examples: Vec<ExampleId>,
    /// Seed of random choices.
    pub seed: u64,
    /// Hash of the exchange with the provider.
    pub exchange: Option<String>,
    /// Who wrote it by hand; for the explanation of another latent, the id of that explanation.
    pub author: String,
}

/// An explanation that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewExplanation {
    /// Whose latent.
    pub sae: SaeName,
    /// Index of the latent.
    pub latent: u32,
    /// The explanation.
    pub text: String,
    /// Who wrote it: the name of an explainer, or [`HAND`].
    pub explainer: String,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Namespace of the ids, itself at random.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d5f_26c1_4b0e_4f57_9a54_13ad_1c47_0be2);

impl NewExplanation {
    /// The id that it has or will have: equal work gives equal ids.
    pub fn id(&self) -> String {
        let from = &self.provenance;
        let latent = self.latent.to_string();
        let parts = [
            self.sae.model().id(),
            self.sae.id(),
            &latent,
            &from.sae_digest,
            &self.explainer,
            &from.prompt_version,
            from.exchange.as_deref().unwrap_or_default(),
            &self.text,
            &from.author,
        ];
        id(NAMESPACE, &parts)
    }
}

/// A UUID made from texts.
pub(crate) fn id(namespace: Uuid, parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        // The length keeps two texts from passing for one.
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    Uuid::new_v5(&namespace, &bytes).to_string()
}

/// What somebody or something says that a latent means.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Its id.
    pub id: ExplanationId,
    /// Whose latent.
    pub sae: SaeName,
    /// Index of the latent.
    pub latent: u32,
    /// The explanation.
    pub text: String,
    /// Who wrote it: the name of an explainer, or [`HAND`].
    pub explainer: String,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its scores, newest first; also those that the same jobs gave to the latent itself, which name no explanation.
    pub scores: Vec<Score>,
    /// When it was stored.
    pub create_time: OffsetDateTime,
}

/// Statements on tables `explanation`, `job_explanation` and `explanation_embedding`.
#[derive(Clone, Copy)]
pub struct Explanations<'a>(pub(crate) &'a Store);

impl Explanations<'_> {
    /// Stores an explanation. One that is there already, by [`NewExplanation::id`], stays as it is.
    pub async fn create(self, explanation: &NewExplanation) -> Result<Explanation, Error> {
        let mut connection = self.0.pool().acquire().await?;
        insert(&mut connection, &[explanation]).await?;
        drop(connection);
        let id = explanation.id();
        self.get(
            &id.parse()
                .map_err(|error: IdError| Error::unreadable(TABLE, error))?,
        )
        .await
    }

    /// Looks an explanation up, with its scores.
    ///
    /// # Errors
    /// [`Error::UnknownExplanation`].
    pub async fn get(self, id: &ExplanationId) -> Result<Explanation, Error> {
        let row = sqlx::query(concat!(
            "select ",
            explanation_columns!(),
            " from explanation e where e.id = $1"
        ))
        .bind(id.id())
        .fetch_optional(self.0.pool())
        .await?;
        let found = read(&row.ok_or_else(|| Error::UnknownExplanation(id.clone()))?)?;
        let mut found = self.with_scores(vec![found]).await?;
        found
            .pop()
            .ok_or_else(|| Error::UnknownExplanation(id.clone()))
    }

    /// Deletes an explanation, its scores and what they were computed from.
    ///
    /// # Errors
    /// [`Error::UnknownExplanation`].
    pub async fn delete(self, id: &ExplanationId) -> Result<(), Error> {
        let deleted = sqlx::query("delete from explanation where id = $1")
            .bind(id.id())
            .execute(self.0.pool())
            .await?;
        if deleted.rows_affected() == 0 {
            return Err(Error::UnknownExplanation(id.clone()));
        }
        Ok(())
    }

    /// The explanations of a latent, oldest first, without scores.
    pub async fn of_latent(self, sae: &SaeName, latent: u32) -> Result<Vec<Explanation>, Error> {
        let rows = sqlx::query(concat!(
            "select ",
            explanation_columns!(),
            " from explanation e where e.sae = $1 and e.latent = $2 order by e.create_time, e.id"
        ))
        .bind(sae.to_string())
        .bind(latent as i32)
        .fetch_all(self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// The explanations of a latent that a job made or found, oldest first, without scores.
    pub async fn of_job(self, job: &JobId, latent: u32) -> Result<Vec<Explanation>, Error> {
        let rows = sqlx::query(concat!(
            "select ",
            explanation_columns!(),
            " from job_explanation j join explanation e on e.id = j.explanation_id
              where j.job_id = $1 and j.latent = $2 order by e.create_time, e.id"
        ))
        .bind(job.id())
        .bind(latent as i32)
        .fetch_all(self.0.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// The explanations with their scores.
    async fn with_scores(self, mut found: Vec<Explanation>) -> Result<Vec<Explanation>, Error> {
        let ids: Vec<&str> = found
            .iter()
            .map(|explanation| explanation.id.id())
            .collect();
        let mut scores = self.0.scores().of_explanations(&ids).await?;
        for explanation in &mut found {
            explanation.scores = scores.remove(&explanation.id).unwrap_or_default();
        }
        Ok(found)
    }
}

/// An explanation from a row with [`explanation_columns`], without scores.
fn read(row: &PgRow) -> Result<Explanation, Error> {
    let unreadable = |error: IdError| Error::unreadable(TABLE, error);
    let optional = |column| row.try_get::<Option<String>, _>(column);
    let examples: Vec<String> = row.try_get("examples")?;
    Ok(Explanation {
        id: row
            .try_get::<String, _>("id")?
            .parse()
            .map_err(unreadable)?,
        sae: row
            .try_get::<String, _>("sae")?
            .parse()
            .map_err(unreadable)?,
        latent: row.try_get::<i32, _>("latent")?.max(0) as u32,
        text: row.try_get("text")?,
        explainer: row.try_get("explainer")?,
        provenance: Provenance {
            job: parsed(optional("job_id")?)?,
            provider: parsed(optional("provider")?)?,
            provider_model: row.try_get("provider_model")?,
            prompt_version: row.try_get("prompt_version")?,
            sae_digest: row.try_get("sae_digest")?,
            cache: parsed(optional("cache_id")?)?,
            examples: examples
                .iter()
                .map(|id| id.parse().map_err(|error| Error::unreadable(TABLE, error)))
                .collect::<Result<_, Error>>()?,
            seed: row.try_get::<i64, _>("seed")?.cast_unsigned(),
            exchange: row.try_get("exchange")?,
            author: row.try_get("author")?,
        },
        scores: Vec::new(),
        create_time: row.try_get("create_time")?,
    })
}

/// The id in a column that may be null.
fn parsed<T: std::str::FromStr<Err = IdError>>(id: Option<String>) -> Result<Option<T>, Error> {
    id.map(|id| id.parse().map_err(|error| Error::unreadable(TABLE, error)))
        .transpose()
}
