//! The pieces of a job: claimed under a lease, done together with their result, given up after too many attempts.

use std::time::Duration;

use latentd_domain::{IdError, JobId};
use sqlx::{Row, postgres::PgRow};

use crate::{
    Error, Store,
    caches::{self, CacheShard},
    leases::{JobLease, MAX_ATTEMPTS, Owner},
    text,
};

const TABLE: &str = "work_item";
/// Most items of one job.
pub const MAX_ITEMS: u32 = 10_000_000;

/// An item that this worker may work on, until its lease runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// The job that it belongs to.
    pub job: JobId,
    /// Its number in the job, from 0.
    pub ord: u32,
    /// Times it was claimed, this one included.
    pub attempt: u32,
    pub(crate) epoch: i32,
}

/// Which items may be claimed.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Those of one job, for whoever holds this lease on it: who has lost it without knowing gets nothing.
    Lease(&'a JobLease),
    /// Those of one job.
    Job(&'a JobId),
    /// Those of all running jobs of one kind that were not asked to stop, oldest job first.
    Kind(&'a str),
}

/// What an item gave, stored in the transaction that marks it as done.
#[derive(Clone, Copy, Debug)]
pub enum WorkResult<'a> {
    /// Nothing that the database keeps.
    Nothing,
    /// Shard files, one for each SAE, complete and synced.
    CacheShards(&'a [CacheShard]),
}

/// Whether an item that failed is tried again.
#[derive(Clone, Copy, Debug)]
pub enum Retry {
    /// After this time, unless it was tried too often already.
    After(Duration),
    /// Never: the item is dead.
    Never,
}

/// Items of a job by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Wait for a worker.
    pub waiting: u64,
    /// At work.
    pub leased: u64,
    /// Done, their results stored.
    pub done: u64,
    /// Given up.
    pub dead: u64,
}

/// Statements on table `work_item`.
#[derive(Clone, Copy)]
pub struct WorkItems<'a>(pub(crate) &'a Store);

impl WorkItems<'_> {
    /// Makes items 0 up to `count` of a job, as far as they are not there yet. At most [`MAX_ITEMS`].
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn insert_many(self, job: &JobId, count: u32) -> Result<(), Error> {
        sqlx::query(
            "insert into work_item (job_id, ord) select $1, ord from generate_series(0, $2 - 1) ord
             on conflict (job_id, ord) do nothing",
        )
        .bind(job.id())
        .bind(count.min(MAX_ITEMS) as i32)
        .execute(self.0.pool())
        .await
        .map_err(|error| {
            Error::on_constraint(error, "work_item_job_id_fkey", || {
                Error::UnknownJob(job.clone())
            })
        })?;
        Ok(())
    }

    /// Takes up to `limit` items that wait, each of which no one else holds, in the order of their numbers.
    pub async fn claim(
        self,
        scope: Scope<'_>,
        owner: Owner,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<WorkItem>, Error> {
        // Whose items are taken, oldest first; what becomes of them is the same.
        macro_rules! claim {
            ($whose:literal) => {
                concat!(
                    "with c as (
                         select w.job_id, w.ord from work_item w join job j on j.id = w.job_id
                         where w.state = 0 and w.run_after <= (select lease_now()) and ",
                    $whose,
                    " order by j.number, w.ord limit $2 for update of w skip locked)
                     update work_item w
                     set state = 1, lease_owner = $3, lease_until = (select lease_now()) + make_interval(secs => $4),
                         epoch = w.epoch + 1, attempt = w.attempt + 1
                     from c where w.job_id = c.job_id and w.ord = c.ord
                     returning w.job_id, w.ord, w.attempt, w.epoch"
                )
            };
        }
        let (statement, whose, epoch) = match scope {
            Scope::Lease(lease) => (
                claim!("w.job_id = $1 and j.state = 'running' and j.epoch = $5"),
                lease.job.id.id(),
                Some(lease.epoch),
            ),
            Scope::Job(job) => (claim!("w.job_id = $1"), job.id(), None),
            Scope::Kind(kind) => (
                claim!("j.kind = $1 and j.state = 'running' and not j.cancel_requested"),
                kind,
                None,
            ),
        };
        let mut query = sqlx::query(statement)
            .bind(whose)
            .bind(i64::from(limit))
            .bind(owner.0)
            .bind(lease.as_secs_f64());
        if let Some(epoch) = epoch {
            query = query.bind(epoch);
        }
        let rows = query.fetch_all(self.0.pool()).await?;
        let mut items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // `returning` promises no order.
        items.sort_by(|a, b| (&a.job, a.ord).cmp(&(&b.job, b.ord)));
        Ok(items)
    }

    /// Marks an item as done and stores its result, both or neither.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the item was given to someone else meanwhile, or its job ended.
    pub async fn complete(self, item: &WorkItem, result: WorkResult<'_>) -> Result<(), Error> {
        let mut transaction = self.0.pool().begin().await?;
        let done = sqlx::query(
            "update work_item set state = 2, lease_owner = null, lease_until = null, error = null
             where job_id = $1 and ord = $2 and epoch = $3 and state = 1",
        )
        .bind(item.job.id())
        .bind(item.ord as i32)
        .bind(item.epoch)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::LeaseLost {
                job: item.job.clone(),
            });
        }
        match result {
            WorkResult::Nothing => {}
            WorkResult::CacheShards(shards) => {
                caches::insert_shards(&mut transaction, shards).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Gives an item back that could not be done. Returns whether it will be tried again.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the item was given to someone else meanwhile, or its job ended.
    pub async fn fail(self, item: &WorkItem, error: &str, retry: Retry) -> Result<bool, Error> {
        let error = text::short(error);
        let (attempts, delay) = match retry {
            Retry::After(delay) => (MAX_ATTEMPTS, delay),
            Retry::Never => (0, Duration::ZERO),
        };
        let state: Option<i16> = sqlx::query_scalar(
            "update work_item
             set state = case when attempt >= $4 then 3 else 0 end, lease_owner = null, lease_until = null, error = $5,
                 run_after = lease_now() + make_interval(secs => $6)
             where job_id = $1 and ord = $2 and epoch = $3 and state = 1
             returning state",
        )
        .bind(item.job.id())
        .bind(item.ord as i32)
        .bind(item.epoch)
        .bind(attempts)
        .bind(error)
        .bind(delay.as_secs_f64())
        .fetch_optional(self.0.pool())
        .await?;
        state
            .map(|state| state == 0)
            .ok_or_else(|| Error::LeaseLost {
                job: item.job.clone(),
            })
    }

    /// How many items of a job are in each state. It reads them all: not for every item.
    pub async fn counts(self, job: &JobId) -> Result<Counts, Error> {
        let row = sqlx::query(
            "select count(*) filter (where state = 0) waiting, count(*) filter (where state = 1) leased,
                 count(*) filter (where state = 2) done, count(*) filter (where state = 3) dead
             from work_item where job_id = $1",
        )
        .bind(job.id())
        .fetch_one(self.0.pool())
        .await?;
        let count = |column| {
            row.try_get::<i64, _>(column)
                .map(|count| count.max(0) as u64)
        };
        Ok(Counts {
            waiting: count("waiting")?,
            leased: count("leased")?,
            done: count("done")?,
            dead: count("dead")?,
        })
    }

    /// Numbers of the items of a job that are done, rising: what a resumed job need not do again.
    pub async fn done(self, job: &JobId) -> Result<Vec<u32>, Error> {
        let ords: Vec<i32> = sqlx::query_scalar(
            "select ord from work_item where job_id = $1 and state = 2 order by ord",
        )
        .bind(job.id())
        .fetch_all(self.0.pool())
        .await?;
        Ok(ords.into_iter().map(|ord| ord.max(0) as u32).collect())
    }

    /// The error of the first dead item of a job, if there is one.
    pub async fn first_error(self, job: &JobId) -> Result<Option<(u32, String)>, Error> {
        let row = sqlx::query(
            "select ord, coalesce(error, '') error from work_item where job_id = $1 and state = 3 order by ord limit 1",
        )
        .bind(job.id())
        .fetch_optional(self.0.pool())
        .await?;
        row.map(|row| {
            Ok((
                row.try_get::<i32, _>("ord")?.max(0) as u32,
                row.try_get("error")?,
            ))
        })
        .transpose()
    }
}

pub(crate) fn read(row: &PgRow) -> Result<WorkItem, Error> {
    let job: String = row.try_get("job_id")?;
    Ok(WorkItem {
        job: job
            .parse()
            .map_err(|error: IdError| Error::unreadable(TABLE, error))?,
        ord: row.try_get::<i32, _>("ord")?.max(0) as u32,
        attempt: row.try_get::<i16, _>("attempt")?.max(0) as u32,
        epoch: row.try_get("epoch")?,
    })
}
