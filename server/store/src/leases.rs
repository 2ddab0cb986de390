//! Who works on what: leases on jobs, which a process renews for as long as it lives and loses when it does not.
//!
//! Every process has an owner id, new at each start. A lease has an epoch; whoever writes under an older one is told
//! [`Error::LeaseLost`]. So a worker that was taken for dead and comes back can do no harm.

use std::time::Duration;

use latentd_domain::{CacheId, IdError, JobId, Reason};
use sqlx::{PgConnection, Row, types::Json};
use uuid::Uuid;

use crate::{
    Error, Store,
    caches::{self, CacheTotals},
    events,
    jobs::{Job, JobFailure, Progress, abandon_parts, job_columns, read},
    signals,
};

/// Leases of a build in a row without progress, after which it ends as failed: it seems to kill whoever takes it.
const MAX_STALLS: i32 = 8;
/// Attempts at one work item, after which it is dead.
pub(crate) const MAX_ATTEMPTS: i16 = 8;

/// A process that does work; new at every start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub(crate) Uuid);

impl Owner {
    /// A new owner id.
    #[expect(
        clippy::new_without_default,
        reason = "each is another: it is not a default"
    )]
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to work on a job, until the lease runs out.
#[derive(Clone, Debug)]
pub struct JobLease {
    /// The job when the lease was given.
    pub job: Job,
    pub(crate) epoch: i32,
}

impl JobLease {
    /// Number of the lease among those of the job. An attempt at the job has it to itself.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }
}

/// How a job ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With all results stored, where the job has no cache.
    Succeeded,
    /// With a complete cache, which becomes ready in the same transaction.
    CacheReady {
        /// The cache.
        cache: CacheId,
        /// What its manifest says.
        totals: CacheTotals,
    },
    /// With an error.
    Failed(JobFailure),
    /// Because it was asked to.
    Cancelled,
}

/// A job on which the owner holds a lease, on itself or on items of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The job.
    pub job: JobId,
    /// Someone asked it to stop.
    pub cancel_requested: bool,
}

/// What [`Leases::reap`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Work items that wait again.
    pub returned: u64,
    /// Work items that are dead now.
    pub dead: u64,
    /// Jobs that failed, having stopped whoever took them.
    pub failed_jobs: u64,
}

/// Statements that give, renew and take leases.
#[derive(Clone, Copy)]
pub struct Leases<'a>(pub(crate) &'a Store);

impl Leases<'_> {
    /// Takes the oldest job of one of these kinds that waits or whose worker is gone. `None` if there is none.
    pub async fn claim_job(
        self,
        kinds: &[&str],
        owner: Owner,
        lease: Duration,
    ) -> Result<Option<JobLease>, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let row = sqlx::query(concat!(
            "update job set state = 'running', attempts = attempts + 1, epoch = epoch + 1,
                 -- The leader of an auto-interpretation job only counts; what kills servers are its items (interp/lost.rs).
                 stalls = stalls + case when exists (select from interp_job i where i.job_id = job.id) then 0 else 1 end,
                 lease_owner = $2, lease_until = lease_now() + make_interval(secs => $3),
                 start_time = coalesce(start_time, now())
             where id = (
                 select id from job
                 where kind = any($1) and stalls < $4 and (data_folder is null or data_folder = $5)
                   and (state = 'queued' or (state = 'running' and lease_until <= (select lease_now())))
                 order by number limit 1 for no key update skip locked)
             returning epoch, ",
            job_columns!()
        ))
        .bind(kinds)
        .bind(owner.0)
        .bind(lease.as_secs_f64())
        .bind(MAX_STALLS)
        .bind(self.0.data_folder())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let lease = JobLease {
            job: read(&row)?,
            epoch: row.try_get("epoch")?,
        };
        events::append(&mut transaction, &lease.job.id, events::Kind::Change).await?;
        transaction.commit().await?;
        self.0.changed(&lease.job.id);
        Ok(Some(lease))
    }

    /// Records how far a job is. Call it a few times a second at most: each call is an event.
    ///
    /// # Errors
    /// [`Error::LeaseLost`].
    pub async fn set_progress(self, lease: &JobLease, progress: &Progress) -> Result<(), Error> {
        let progress = Progress {
            // JSON has neither NaN nor infinity.
            rate: if progress.rate.is_finite() {
                progress.rate
            } else {
                0.0
            },
            eta_seconds: progress.eta_seconds.filter(|eta| eta.is_finite()),
            ..progress.clone()
        };
        let mut transaction = self.0.pool().begin().await?;
        let done = sqlx::query(
            "update job set progress = $3,
                 stalls = case
                     when progress->>'phase' is distinct from $3->>'phase'
                       or coalesce((progress->>'done')::numeric, 0) < ($3->>'done')::numeric then 0
                     else stalls end
             where id = $1 and epoch = $2 and state = 'running'",
        )
        .bind(lease.job.id.id())
        .bind(lease.epoch)
        .bind(Json(&progress))
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::LeaseLost {
                job: lease.job.id.clone(),
            });
        }
        events::append(&mut transaction, &lease.job.id, events::Kind::Progress).await?;
        transaction.commit().await?;
        self.0.changed(&lease.job.id);
        Ok(())
    }

    /// Ends a job, and with it its cache and its open work items.
    ///
    /// # Errors
    /// [`Error::LeaseLost`].
    pub async fn finish(self, lease: &JobLease, outcome: &Outcome) -> Result<Job, Error> {
        let (state, failure) = match outcome {
            Outcome::Succeeded | Outcome::CacheReady { .. } => ("succeeded", None),
            Outcome::Failed(failure) => ("failed", Some(storable(failure))),
            Outcome::Cancelled => ("cancelled", None),
        };
        let mut transaction = self.0.pool().begin().await?;
        let row = sqlx::query(concat!(
            "update job set state = $3, error = $4, end_time = now(), lease_owner = null, lease_until = null
             where id = $1 and epoch = $2 and state = 'running' returning ",
            job_columns!()
        ))
        .bind(lease.job.id.id())
        .bind(lease.epoch)
        .bind(state)
        .bind(failure.map(Json))
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or_else(|| Error::LeaseLost { job: lease.job.id.clone() })?;
        match outcome {
            Outcome::Succeeded => {}
            Outcome::CacheReady { cache, totals } => {
                caches::complete(&mut transaction, cache, &lease.job.id, totals).await?;
            }
            Outcome::Failed(_) | Outcome::Cancelled => {
                abandon_parts(&mut transaction, &lease.job.id).await?;
            }
        }
        ended(&mut transaction, &lease.job.id).await?;
        transaction.commit().await?;
        self.0.changed(&lease.job.id);
        read(&row)
    }

    /// Renews every lease of an owner, on jobs and on work items, and tells which jobs these are.
    ///
    /// A job that the owner works on and that is not among them is lost: stop working on it. Call it a few times within the
    /// length of a lease.
    pub async fn heartbeat(self, owner: Owner, lease: Duration) -> Result<Vec<Held>, Error> {
        // Rows are locked in one order everywhere, jobs before items and both rising, so that nothing deadlocks with `finish`. Whoever
        // completes items stores results that refer to the job: that must not wait for a lock on the job, so none is `for update`.
        let mut transaction = self.0.pool().begin().await?;
        sqlx::query(
            "update job set lease_until = (select lease_now()) + make_interval(secs => $2)
             where id in (select id from job where lease_owner = $1 and state = 'running' order by id for no key update)",
        )
        .bind(owner.0)
        .bind(lease.as_secs_f64())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "update work_item set lease_until = (select lease_now()) + make_interval(secs => $2)
             where (job_id, ord) in (
                 select job_id, ord from work_item where lease_owner = $1 and state = 1 order by job_id, ord for update)",
        )
        .bind(owner.0)
        .bind(lease.as_secs_f64())
        .execute(&mut *transaction)
        .await?;
        let rows = sqlx::query(
            "select id, cancel_requested from job
             where state = 'running' and (lease_owner = $1
                or id in (select job_id from work_item where lease_owner = $1 and state = 1))
             order by id",
        )
        .bind(owner.0)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        rows.iter()
            .map(|row| {
                let id: String = row.try_get("id")?;
                let job = id
                    .parse()
                    .map_err(|error: IdError| Error::unreadable("job", error))?;
                Ok(Held {
                    job,
                    cancel_requested: row.try_get("cancel_requested")?,
                })
            })
            .collect()
    }

    /// Takes leases that ran out from workers that are gone: their work items wait again, or are dead after too many attempts;
    /// a job that was taken again and again without getting further fails. Any process may call it, at any time.
    pub async fn reap(self) -> Result<Reaped, Error> {
        let mut reaped = self.return_items().await?;
        let lost = self.0.interp().reap().await?;
        reaped.returned += lost.returned;
        reaped.dead += lost.dead;
        while self.fail_stalled_job().await? {
            reaped.failed_jobs += 1;
        }
        Ok(reaped)
    }

    async fn return_items(self) -> Result<Reaped, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let rows = sqlx::query(
            "with expired as (
                 select job_id, ord from work_item where state = 1 and lease_until <= (select lease_now())
                   -- Those of auto-interpretation jobs go by whether their process is alive.
                   and not exists (select from interp_job i where i.job_id = work_item.job_id)
                 for update skip locked)
             update work_item w
             set state = case when w.attempt >= $1 then 3 else 0 end, lease_owner = null, lease_until = null,
                 error = case when w.attempt >= $1 then 'its worker was lost at every attempt' end,
                 reason = case when w.attempt >= $1 then 'INTERNAL' end
             from expired e where w.job_id = e.job_id and w.ord = e.ord
             returning w.job_id, w.ord, w.state",
        )
        .bind(MAX_ATTEMPTS)
        .fetch_all(&mut *transaction)
        .await?;
        let mut dead = 0;
        for row in &rows {
            dead += u64::from(row.try_get::<i16, _>("state")? == 3);
        }
        transaction.commit().await?;
        Ok(Reaped {
            returned: rows.len() as u64 - dead,
            dead,
            failed_jobs: 0,
        })
    }

    async fn fail_stalled_job(self) -> Result<bool, Error> {
        let failure = JobFailure {
            reason: Reason::Internal,
            message: "every process that worked on it stopped before it got further".to_owned(),
            metadata: std::collections::BTreeMap::new(),
        };
        let mut transaction = self.0.pool().begin().await?;
        let id: Option<String> = sqlx::query_scalar(
            "update job set state = 'failed', error = $2, end_time = now(), lease_owner = null, lease_until = null,
                 epoch = epoch + 1
             where id = (
                 select id from job
                 where stalls >= $1 and (state = 'queued' or (state = 'running' and lease_until <= (select lease_now())))
                 limit 1 for no key update skip locked)
             returning id",
        )
        .bind(MAX_STALLS)
        .bind(Json(failure))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(id) = id else { return Ok(false) };
        let id: JobId = id
            .parse()
            .map_err(|error: IdError| Error::unreadable("job", error))?;
        abandon_parts(&mut transaction, &id).await?;
        ended(&mut transaction, &id).await?;
        transaction.commit().await?;
        self.0.changed(&id);
        Ok(true)
    }

    /// Gives back every lease of an owner that stops in good order: its jobs and work items wait for the next process, and this
    /// attempt does not count against them.
    pub async fn release(self, owner: Owner) -> Result<(), Error> {
        let mut transaction = self.0.pool().begin().await?;
        let ids: Vec<String> = sqlx::query_scalar(
            "update job set state = 'queued', lease_owner = null, lease_until = null, epoch = epoch + 1,
                 stalls = greatest(stalls - 1, 0)
             where id in (select id from job where lease_owner = $1 and state = 'running' order by id for no key update)
             returning id",
        )
        .bind(owner.0)
        .fetch_all(&mut *transaction)
        .await?;
        sqlx::query(
            "update work_item set state = 0, lease_owner = null, lease_until = null, epoch = epoch + 1,
                 attempt = greatest(attempt - 1, 0)
             where (job_id, ord) in (
                 select job_id, ord from work_item where lease_owner = $1 and state = 1 order by job_id, ord for update)",
        )
        .bind(owner.0)
        .execute(&mut *transaction)
        .await?;
        let ids: Vec<JobId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        for id in &ids {
            events::append(&mut transaction, id, events::Kind::Change).await?;
            signals::notify(&mut transaction, id).await?;
        }
        transaction.commit().await?;
        for id in &ids {
            self.0.changed(id);
        }
        Ok(())
    }

    /// Ends every lease of every other owner at once, so that their work can be claimed without waiting.
    ///
    /// Only for a server that knows that it is alone, because it holds the lock on an embedded database
    /// ([`Embedded::is_owner`](crate::embedded::Embedded::is_owner)). The attempts of those others count.
    pub async fn expire_others(self, owner: Owner) -> Result<(), Error> {
        let mut transaction = self.0.pool().begin().await?;
        for table in [
            "update job set lease_until = '-infinity' where state = 'running' and lease_owner <> $1",
            "update work_item set lease_until = '-infinity' where state = 1 and lease_owner <> $1",
            "delete from process where owner <> $1",
        ] {
            sqlx::query(table)
                .bind(owner.0)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// What every end of a job has: an event, and a notification for those who wait in other processes.
async fn ended(connection: &mut PgConnection, job: &JobId) -> Result<(), Error> {
    events::append(connection, job, events::Kind::Change).await?;
    signals::notify(connection, job).await
}

/// The failure without NUL characters, which Postgres cannot store: the failure itself must never be lost to that.
fn storable(failure: &JobFailure) -> JobFailure {
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    JobFailure {
        reason: failure.reason,
        message: clean(&failure.message),
        metadata: failure
            .metadata
            .iter()
            .map(|(key, value)| (clean(key), clean(value)))
            .collect(),
    }
}
