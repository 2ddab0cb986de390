//! Lists of explanations: by SAE, latent and time.

use latentd_domain::{JobId, SaeName, autointerp::ScorerKind};
use time::OffsetDateTime;

use super::{Explanation, Explanations, explanation_columns, read};
use crate::{
    Error,
    page::{Listed, Page},
};

/// Which explanations to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only of this SAE.
    pub sae: Option<SaeName>,
    /// Only of these latents; all if empty.
    pub latents: Vec<u32>,
    /// Only by this explainer; all if empty.
    pub explainer: String,
    /// Only with a score of this scorer.
    pub scorer: Option<ScorerKind>,
    /// Only with a score of `scorer` (of any scorer, if it is `None`) of at least this.
    pub min_score: Option<f64>,
    /// Only with a score of `scorer` (of any scorer, if it is `None`) of at most this.
    pub max_score: Option<f64>,
    /// Only those that this job made or found.
    pub job: Option<JobId>,
}

impl Explanations<'_> {
    /// Lists explanations with their scores, by SAE, latent and time.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`].
    pub async fn list(self, filter: &Filter, page: &Page) -> Result<Listed<Explanation>, Error> {
        let list = format!("explanations {filter:?}");
        let after = match page.after(&list)? {
            None => None,
            Some(key) => Some(Position::parse(&key).ok_or(Error::InvalidPageToken)?),
        };
        let latents: Vec<i32> = filter.latents.iter().map(|&latent| latent as i32).collect();
        let rows = sqlx::query(concat!(
            "select ",
            explanation_columns!(),
            " from explanation e
              where ($1::text is null or e.sae = $1) and (cardinality($2::int[]) = 0 or e.latent = any($2))
                and ($3 = '' or e.explainer = $3)
                and ($4::text is null or exists (
                    select from job_explanation j where j.job_id = $4 and j.latent = e.latent and j.explanation_id = e.id))
                and (($5::text is null and $6::double precision is null and $7::double precision is null) or exists (
                    select from score s where s.explanation_id = e.id and ($5::text is null or s.scorer = $5)
                      and ($6 is null or s.value >= $6) and ($7 is null or s.value <= $7)))
                and ($8::text is null or (e.sae, e.latent, e.create_time, e.id) > ($8, $9, $10, $11))
              order by e.sae, e.latent, e.create_time, e.id limit $12"
        ))
        .bind(filter.sae.as_ref().map(ToString::to_string))
        .bind(latents)
        .bind(&filter.explainer)
        .bind(filter.job.as_ref().map(JobId::id))
        .bind(filter.scorer.map(ScorerKind::as_str))
        .bind(filter.min_score)
        .bind(filter.max_score)
        .bind(after.as_ref().map(|position| position.sae.as_str()))
        .bind(after.as_ref().map(|position| position.latent))
        .bind(after.as_ref().map(|position| position.create_time))
        .bind(after.as_ref().map(|position| position.id.as_str()))
        .bind(page.limit())
        .fetch_all(self.0.pool())
        .await?;
        let found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let listed = page.cut(&list, found, |explanation| {
            format!(
                "{} {} {} {}",
                explanation.sae,
                explanation.latent,
                explanation.create_time.unix_timestamp_nanos(),
                explanation.id.id()
            )
        });
        Ok(Listed {
            items: self.with_scores(listed.items).await?,
            next_page_token: listed.next_page_token,
        })
    }
}

impl Explanations<'_> {
    /// The latents of an SAE that have explanations, rising.
    pub async fn latents_of(self, sae: &SaeName) -> Result<Vec<u32>, Error> {
        let latents: Vec<i32> =
            sqlx::query_scalar("select distinct latent from explanation where sae = $1 order by 1")
                .bind(sae.to_string())
                .fetch_all(self.0.pool())
                .await?;
        Ok(latents
            .into_iter()
            .map(|latent| latent.max(0) as u32)
            .collect())
    }
}

/// Where a page of explanations begins.
struct Position {
    sae: String,
    latent: i32,
    create_time: OffsetDateTime,
    id: String,
}

impl Position {
    fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split(' ');
        let mut part = || parts.next();
        Some(Self {
            sae: part()?.to_owned(),
            latent: part()?.parse().ok()?,
            create_time: OffsetDateTime::from_unix_timestamp_nanos(part()?.parse().ok()?).ok()?,
            id: part()?.to_owned(),
        })
    }
}
