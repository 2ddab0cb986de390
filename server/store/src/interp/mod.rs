//! Auto-interpretation jobs: asked for, cut into work items by latent and stage, claimed by every process, completed in batches.
//!
//! Stage 0 of a latent finds its explanations; the other stages are its scorers and wait, blocked, until stage 0 is over. Whoever
//! completes an item stores its results in the same transaction ([`complete`]), and counts it ([`counts`]).

mod complete;
pub mod counts;
mod lost;
mod reasons;
mod reduced;
mod side_by_side;
mod stages;
mod summary;

use latentd_domain::{
    IdError, JobId, ProviderId,
    autointerp::{AutointerpSpec, Budget},
};
use sqlx::{Row, types::Json};

pub use complete::{Completion, Outcome};
pub use counts::{Counts, Progress, Spent};
pub use reasons::{ExampleReason, ItemReason};
pub use reduced::{Reduced, Shown};
pub use side_by_side::ExplainerSummary;
pub use summary::{JobSummary, ScorerSummary};

use crate::{
    Error, Store,
    jobs::{self, NewJob, Submitted},
    leases::Owner,
    work_items::{self, WorkItem},
};

/// Kind of the jobs that explain latents, and score the explanations where scorers are given.
pub const EXPLAIN_LATENTS: &str = "explain_latents";
/// Kind of the jobs that score explanations that exist.
pub const SCORE_EXPLANATIONS: &str = "score_explanations";
/// The kinds of auto-interpretation jobs, which are also those that can be paused.
pub const KINDS: [&str; 2] = [EXPLAIN_LATENTS, SCORE_EXPLANATIONS];

/// Items that are made in one statement.
const CHUNK: i32 = 100_000;

/// A job that items may be claimed of.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningJob {
    /// The job.
    pub job: JobId,
    /// What it may spend.
    pub budget: Budget,
}

/// Statements on auto-interpretation jobs and their work items.
#[derive(Clone, Copy)]
pub struct Interp<'a>(pub(crate) &'a Store);

impl Interp<'_> {
    /// Asks for a job, whose `spec` is also in `job`. A cache that is deleted at the same time is either kept by the job, or missed
    /// by it.
    ///
    /// # Errors
    /// [`Error::UnknownCache`], [`Error::UnknownProvider`], [`Error::RequestIdReused`].
    pub async fn submit(self, spec: &AutointerpSpec, job: &NewJob) -> Result<Submitted, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let submitted = jobs::insert(&mut transaction, job).await?;
        let Submitted::Created(created) = &submitted else {
            return Ok(submitted);
        };
        // The locks keep the cache and the providers until the job is there, which then keeps them.
        let cache: Option<String> = sqlx::query_scalar(
            "select id from cache where id = $1 and state <> 'deleting' for share",
        )
        .bind(spec.cache.id())
        .fetch_optional(&mut *transaction)
        .await?;
        if cache.is_none() {
            return Err(Error::UnknownCache(spec.cache.clone()));
        }
        let providers = providers(spec);
        let ids: Vec<&str> = providers.iter().map(|provider| provider.id()).collect();
        let found: Vec<String> = sqlx::query_scalar(
            "select id from provider where id = any($1) order by id for key share",
        )
        .bind(&ids)
        .fetch_all(&mut *transaction)
        .await?;
        for provider in providers {
            if !found.iter().any(|id| id == provider.id()) {
                return Err(Error::UnknownProvider(provider.clone()));
            }
        }
        transaction.commit().await?;
        self.0.changed(&created.id);
        Ok(submitted)
    }

    /// Makes the work items of a job, as far as they are not there yet.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn insert_items(self, job: &JobId, spec: &AutointerpSpec) -> Result<(), Error> {
        let independent: Vec<i16> = (1i16..)
            .zip(&spec.scorers)
            .filter(|(_, scorer)| !scorer.kind.needs_explanation())
            .map(|(stage, _)| stage)
            .collect();
        let complete: bool = sqlx::query_scalar(
            "insert into interp_job (job_id, latents, stages, independent) values ($1, $2, $3, $4)
             on conflict (job_id) do update set latents = interp_job.latents
             returning complete",
        )
        .bind(job.id())
        .bind(spec.latents.len() as i32)
        .bind(spec.stages() as i16)
        .bind(independent)
        .fetch_one(self.0.pool())
        .await
        .map_err(|error| {
            Error::on_constraint(error, "interp_job_job_id_fkey", || {
                Error::UnknownJob(job.clone())
            })
        })?;
        if complete {
            return Ok(());
        }
        let items = spec.items().min(work_items::MAX_ITEMS as usize) as i32;
        for first in (0..items).step_by(CHUNK as usize) {
            sqlx::query(
                "insert into work_item (job_id, ord, state)
                 select $1, ord, case when ord % $4 = 0 then 0 else 4 end from generate_series($2, $3 - 1) ord
                 on conflict (job_id, ord) do nothing",
            )
            .bind(job.id())
            .bind(first)
            .bind(first.saturating_add(CHUNK).min(items))
            .bind(spec.stages() as i32)
            .execute(self.0.pool())
            .await?;
        }
        sqlx::query("update interp_job set complete = true where job_id = $1")
            .bind(job.id())
            .execute(self.0.pool())
            .await?;
        Ok(())
    }

    /// The jobs at work, oldest first. One whose budget this version cannot read is left out. Their specs, which may be megabytes,
    /// stay in the database.
    pub async fn running(self) -> Result<Vec<RunningJob>, Error> {
        let rows = sqlx::query(
            "select id, spec->'budget' as budget from job where state = 'running' and kind = any($1) and not cancel_requested
             order by number",
        )
        .bind(KINDS)
        .fetch_all(self.0.pool())
        .await?;
        let mut running = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: String = row.try_get("id")?;
            match row.try_get::<Json<Budget>, _>("budget") {
                Ok(Json(budget)) => running.push(RunningJob {
                    job: id
                        .parse()
                        .map_err(|error: IdError| Error::unreadable("job", error))?,
                    budget,
                }),
                Err(error) => {
                    tracing::warn!(job = id, %error, "the budget of a job cannot be read");
                }
            }
        }
        Ok(running)
    }

    /// What a job may spend now.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn budget(self, job: &JobId) -> Result<Budget, Error> {
        let budget: Option<Json<Budget>> =
            sqlx::query_scalar("select spec->'budget' from job where id = $1")
                .bind(job.id())
                .fetch_optional(self.0.pool())
                .await?;
        budget
            .map(|Json(budget)| budget)
            .ok_or_else(|| Error::UnknownJob(job.clone()))
    }

    /// Takes up to `limit` items that wait and are no suspects, of all jobs at work, as evenly as there are items. They are `owner`'s
    /// for as long as it is alive by [`Processes::heartbeat`](crate::processes::Processes::heartbeat).
    pub async fn claim(self, owner: Owner, limit: u32) -> Result<Vec<WorkItem>, Error> {
        self.claim_except(owner, limit, &[]).await
    }

    /// The same, but no items of the jobs `without`: those that this process cannot work on.
    pub async fn claim_except(
        self,
        owner: Owner,
        limit: u32,
        without: &[JobId],
    ) -> Result<Vec<WorkItem>, Error> {
        // First each job's share; what that leaves goes to whoever has more.
        let (mut items, jobs) = self
            .claim_share(owner, limit, (Share::Even, without))
            .await?;
        let taken = items.len() as u32;
        if taken < limit && jobs > 1 {
            let (more, _) = self
                .claim_share(owner, limit - taken, (Share::Oldest, without))
                .await?;
            items.extend(more);
        }
        items.sort_by(|a, b| (&a.job, a.ord).cmp(&(&b.job, b.ord)));
        Ok(items)
    }

    /// Claims, and tells how many jobs are at work if an item was claimed.
    async fn claim_share(
        self,
        owner: Owner,
        limit: u32,
        (share, without): (Share, &[JobId]),
    ) -> Result<(Vec<WorkItem>, i64), Error> {
        let without: Vec<&str> = without.iter().map(JobId::id).collect();
        let rows = sqlx::query(
            "with open as (
                 select id, number, count(*) over () as jobs from job
                 where state = 'running' and kind = any($1) and not cancel_requested and id <> all($5)),
             c as (
                 select w.job_id, w.ord, open.jobs from open cross join lateral (
                     select job_id, ord from work_item
                     where job_id = open.id and state = 0 and lost < 2
                       and run_after <= (select lease_now())
                     order by ord
                     limit case when $4 then ceil($2 / open.jobs::double precision)::bigint else $2 end
                     for update skip locked) w
                 order by case when not $4 then open.number end, w.ord limit $2)
             update work_item w
             set state = 1, lease_owner = $3, lease_until = 'infinity', epoch = w.epoch + 1, attempt = w.attempt + 1
             from c where w.job_id = c.job_id and w.ord = c.ord
             returning w.job_id, w.ord, w.attempt, w.epoch, c.jobs",
        )
        .bind(KINDS)
        .bind(i64::from(limit))
        .bind(owner.0)
        .bind(share == Share::Even)
        .bind(without)
        .fetch_all(self.0.pool())
        .await?;
        let jobs = rows.first().map_or(Ok(0), |row| row.try_get("jobs"))?;
        let items = rows
            .iter()
            .map(work_items::read)
            .collect::<Result<_, _>>()?;
        Ok((items, jobs))
    }

    /// Gives back what the database takes for `owner`'s work and what is not among `items`: a claim whose answer was lost, or an
    /// item whose end could not be written. Not to be called while `owner` claims.
    pub async fn keep(self, items: &[WorkItem], owner: Owner) -> Result<(), Error> {
        let (jobs, ords, epochs) = columns(items);
        sqlx::query(
            "update work_item w
             set state = 0, lease_owner = null, lease_until = null, epoch = w.epoch + 1, attempt = greatest(w.attempt - 1, 0)
             from (
                 select w.job_id, w.ord from work_item w
                 where w.state = 1 and w.lease_owner = $4 and not exists (
                     select from unnest($1::text[], $2::int[], $3::int[]) c(job_id, ord, epoch)
                     where w.job_id = c.job_id and w.ord = c.ord and w.epoch = c.epoch)
                 order by w.job_id, w.ord for update of w) c
             where w.job_id = c.job_id and w.ord = c.ord",
        )
        .bind(jobs)
        .bind(ords)
        .bind(epochs)
        .bind(owner.0)
        .execute(self.0.pool())
        .await?;
        Ok(())
    }

    /// Gives items back that were claimed but not worked on; the attempt does not count. What is no longer `owner`'s is left alone.
    pub async fn give_back(self, items: &[WorkItem], owner: Owner) -> Result<(), Error> {
        let (jobs, ords, epochs) = columns(items);
        sqlx::query(
            "update work_item w
             set state = 0, lease_owner = null, lease_until = null, epoch = w.epoch + 1, attempt = greatest(w.attempt - 1, 0)
             from (
                 select w.job_id, w.ord from work_item w
                 join unnest($1::text[], $2::int[], $3::int[]) c(job_id, ord, epoch)
                   on w.job_id = c.job_id and w.ord = c.ord and w.epoch = c.epoch
                 where w.state = 1 and w.lease_owner = $4
                 order by w.job_id, w.ord for update of w) c
             where w.job_id = c.job_id and w.ord = c.ord",
        )
        .bind(jobs)
        .bind(ords)
        .bind(epochs)
        .bind(owner.0)
        .execute(self.0.pool())
        .await?;
        Ok(())
    }
}

/// What names items under the leases that they were claimed with.
fn columns(items: &[WorkItem]) -> (Vec<&str>, Vec<i32>, Vec<i32>) {
    let jobs = items.iter().map(|item| item.job.id()).collect();
    let ords = items.iter().map(|item| item.ord as i32).collect();
    (jobs, ords, items.iter().map(|item| item.epoch).collect())
}

/// How items are shared out among jobs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Even,
    Oldest,
}

/// The providers that a job asks.
fn providers(spec: &AutointerpSpec) -> Vec<&ProviderId> {
    let scorers = spec.scorers.iter().map(|scorer| &scorer.provider);
    std::iter::once(&spec.explainer.provider)
        .chain(scorers)
        .flatten()
        .collect()
}
