//! Searching explanations: by words in Postgres; by meaning with embeddings that the caller makes and compares; one at random.

use latentd_domain::{ExplanationId, IdError, SaeName, autointerp::ExplainerKind};
use sqlx::{Row, postgres::PgRow};

use super::{Explanation, Explanations, NAMESPACE, TABLE, explanation_columns, id, read};
use crate::{Error, text};

/// An explanation that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The explanation, with its scores.
    pub explanation: Explanation,
    /// How good a hit it is: the rank by words.
    pub relevance: f64,
}

/// The embedding of an explanation, to be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The explanation.
    pub id: ExplanationId,
    /// Its embedding, of length 1.
    pub embedding: Vec<f32>,
}

impl Explanations<'_> {
    /// Finds explanations by their words, best first. `query` is in the syntax of web searches, and any text is valid.
    pub async fn search_words(
        self,
        query: &str,
        sae: Option<&SaeName>,
        limit: u32,
    ) -> Result<Vec<Hit>, Error> {
        let rows = sqlx::query(concat!(
            "select ts_rank_cd(e.words, q)::double precision as relevance, ",
            explanation_columns!(),
            " from explanation e, websearch_to_tsquery('english', $1) q
              where e.words @@ q and ($2::text is null or e.sae = $2)
              order by relevance desc, e.id limit $3"
        ))
        .bind(text::storable(query))
        .bind(sae.map(ToString::to_string))
        .bind(i64::from(limit))
        .fetch_all(self.0.pool())
        .await?;
        let found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let found = self.with_scores(found).await?;
        rows.iter()
            .zip(found)
            .map(|(row, explanation)| {
                Ok(Hit {
                    explanation,
                    relevance: row.try_get("relevance")?,
                })
            })
            .collect()
    }

    /// Explanations with their scores, in the order of `ids`; those that are gone are left out.
    pub async fn get_many(self, ids: &[ExplanationId]) -> Result<Vec<Explanation>, Error> {
        let rows = sqlx::query(concat!(
            "select ",
            explanation_columns!(),
            " from unnest($1::text[]) with ordinality c(id, n) join explanation e on e.id = c.id order by c.n"
        ))
        .bind(super::insert::texts(ids))
        .fetch_all(self.0.pool())
        .await?;
        let found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        self.with_scores(found).await
    }

    /// Up to `limit` explanations that have no embedding by `encoder` yet, with their texts.
    pub async fn without_embedding(
        self,
        encoder: &str,
        sae: Option<&SaeName>,
        limit: u32,
    ) -> Result<Vec<(ExplanationId, String)>, Error> {
        let rows = sqlx::query(
            "select e.id, e.text from explanation e
             where ($2::text is null or e.sae = $2) and not exists (
                 select from explanation_embedding v where v.encoder = $1 and v.explanation_id = e.id)
             order by e.id limit $3",
        )
        .bind(encoder)
        .bind(sae.map(ToString::to_string))
        .bind(i64::from(limit))
        .fetch_all(self.0.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((explanation_id(row)?, row.try_get("text")?)))
            .collect()
    }

    /// Keeps embeddings by `encoder`; those of explanations that are gone are left out.
    pub async fn put_embeddings(self, encoder: &str, made: &[Candidate]) -> Result<(), Error> {
        let mut made: Vec<&Candidate> = made.iter().collect();
        made.sort_by(|a, b| a.id.cmp(&b.id));
        let mut transaction = self.0.pool().begin().await?;
        let ids: Vec<&str> = made.iter().map(|candidate| candidate.id.id()).collect();
        let live = super::live(&mut transaction, &ids).await?;
        made.retain(|candidate| live.contains(candidate.id.id()));
        sqlx::query(
            "insert into explanation_embedding (encoder, explanation_id, embedding)
             select $1, c.id, c.embedding::real[] from unnest($2::text[], $3::text[]) c(id, embedding)
             on conflict (encoder, explanation_id) do nothing",
        )
        .bind(encoder)
        .bind(made.iter().map(|candidate| candidate.id.id()).collect::<Vec<_>>())
        .bind(
            made.iter()
                .map(|candidate| text::array(&candidate.embedding))
                .collect::<Vec<_>>(),
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Embeddings by `encoder`, a chunk of up to `limit` after `after`, by id: call it again with the last id until it gives none.
    pub async fn embeddings(
        self,
        encoder: &str,
        sae: Option<&SaeName>,
        after: Option<&ExplanationId>,
        limit: u32,
    ) -> Result<Vec<Candidate>, Error> {
        let rows = sqlx::query(
            "select v.explanation_id as id, v.embedding from explanation_embedding v
             where v.encoder = $1 and ($3::text is null or v.explanation_id > $3)
               and ($2::text is null or exists (select from explanation e where e.id = v.explanation_id and e.sae = $2))
             order by v.explanation_id limit $4",
        )
        .bind(encoder)
        .bind(sae.map(ToString::to_string))
        .bind(after.map(ExplanationId::id))
        .bind(i64::from(limit))
        .fetch_all(self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Candidate {
                    id: explanation_id(row)?,
                    embedding: row.try_get("embedding")?,
                })
            })
            .collect()
    }

    /// An explanation of another latent of the SAE that was made for that latent, chosen by `seed`; `None` if there is none. The
    /// same seed gives the same one while no explanation comes or goes.
    pub async fn random_other(
        self,
        sae: &SaeName,
        latent: u32,
        seed: u64,
    ) -> Result<Option<Explanation>, Error> {
        // Ids are spread evenly, so the next one after a random id is a random one.
        let pivot = id(
            NAMESPACE,
            &["random", &latent.to_string(), &seed.to_string()],
        );
        for pivot in [pivot.as_str(), ""] {
            let row = sqlx::query(concat!(
                "select ",
                explanation_columns!(),
                " from explanation e where e.sae = $1 and e.latent <> $2 and e.explainer <> $3 and e.id >= $4
                  order by e.id limit 1"
            ))
            .bind(sae.to_string())
            .bind(latent as i32)
            .bind(ExplainerKind::RandomBaseline.as_str())
            .bind(pivot)
            .fetch_optional(self.0.pool())
            .await?;
            if let Some(row) = row {
                return read(&row).map(Some);
            }
        }
        Ok(None)
    }
}

fn explanation_id(row: &PgRow) -> Result<ExplanationId, Error> {
    row.try_get::<String, _>("id")?
        .parse()
        .map_err(|error: IdError| Error::unreadable(TABLE, error))
}
