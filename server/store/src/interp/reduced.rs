//! Latents that were shown with fewer examples than the plan of their job asks for, because the cache has no more.

use latentd_domain::JobId;
use sqlx::Row;

use super::{Interp, counts::count};
use crate::Error;

/// How many examples of a latent were shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// To the explainer.
    pub n_train: u32,
    /// To scorers, of those on which the latent fires.
    pub n_test: u32,
}

/// The latents of a job that were shown with fewer examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// How many latents.
    pub latents: u64,
    /// The fewest examples of any of them.
    pub fewest: Shown,
    /// Some of them, lowest first.
    pub examples: Vec<u32>,
}

impl Interp<'_> {
    /// Notes latents of jobs that were shown with fewer examples than was asked for. Each latent of a job comes at most once.
    pub async fn note_reduced(self, latents: &[((JobId, u32), Shown)]) -> Result<(), Error> {
        if latents.is_empty() {
            return Ok(());
        }
        let column = |value: fn(&((JobId, u32), Shown)) -> i32| -> Vec<i32> {
            latents.iter().map(value).collect()
        };
        let jobs: Vec<&str> = latents.iter().map(|((job, _), _)| job.id()).collect();
        sqlx::query(
            "insert into job_reduced as r (job_id, latent, n_train, n_test)
             select c.job_id, c.latent, c.n_train, c.n_test
             from unnest($1::text[], $2::int[], $3::int[], $4::int[]) c(job_id, latent, n_train, n_test)
             order by c.job_id, c.latent
             on conflict (job_id, latent) do update
             set n_train = least(r.n_train, excluded.n_train), n_test = least(r.n_test, excluded.n_test)",
        )
        .bind(jobs)
        .bind(column(|((_, latent), _)| *latent as i32))
        .bind(column(|(_, shown)| shown.n_train as i32))
        .bind(column(|(_, shown)| shown.n_test as i32))
        .execute(self.0.pool())
        .await?;
        Ok(())
    }

    /// The latents of a job that were shown with fewer examples; `None` if there is none.
    pub async fn reduced(self, job: &JobId) -> Result<Option<Reduced>, Error> {
        let row = sqlx::query(
            "select count(*) as latents, coalesce(min(n_train), 0) as n_train, coalesce(min(n_test), 0) as n_test,
                 array(select latent from job_reduced where job_id = $1 order by latent limit 5) as examples
             from job_reduced where job_id = $1",
        )
        .bind(job.id())
        .fetch_one(self.0.pool())
        .await?;
        let latents = count(&row, "latents")?;
        let examples: Vec<i32> = row.try_get("examples")?;
        Ok((latents > 0).then_some(Reduced {
            latents,
            fewest: Shown {
                n_train: row.try_get::<i32, _>("n_train")?.max(0) as u32,
                n_test: row.try_get::<i32, _>("n_test")?.max(0) as u32,
            },
            examples: examples.iter().map(|&latent| latent as u32).collect(),
        }))
    }
}
