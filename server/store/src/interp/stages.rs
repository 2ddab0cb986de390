//! What the end of a latent's stage 0 means for its other stages: they may begin, or there is nothing left for them to do.

use std::collections::{BTreeMap, HashMap};

use latentd_domain::{IdError, JobId};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::counts::{self, Delta};
use crate::Error;

const TABLE: &str = "work_item";

/// States of a work item.
pub(super) const WAITS: i16 = 0;
pub(super) const DONE: i16 = 2;
pub(super) const DEAD: i16 = 3;
pub(super) const SKIPPED: i16 = 5;

/// How the items of a job are numbered.
pub(super) struct Shape {
    stages: i32,
    independent: Vec<i16>,
}

/// An item that waits for stage 0, and the state that it gets.
pub(super) struct Follower {
    job: JobId,
    ord: i32,
    state: i16,
}

impl Shape {
    /// Stage of an item.
    pub(super) fn stage(&self, ord: u32) -> i16 {
        (ord as i32 % self.stages.max(1)) as i16
    }

    /// The other items of a latent whose stage 0, the item `ord`, ended in `state`.
    pub(super) fn followers(&self, job: &JobId, ord: u32, state: i16) -> Vec<Follower> {
        (1..self.stages)
            .map(|stage| Follower {
                job: job.clone(),
                ord: ord as i32 + stage,
                state: match state {
                    DONE => WAITS,
                    DEAD if self.independent.contains(&(stage as i16)) => WAITS,
                    _ => SKIPPED,
                },
            })
            .collect()
    }
}

/// How the items of these jobs are numbered; jobs of other kinds have no entry.
pub(super) async fn shapes(
    connection: &mut PgConnection,
    jobs: impl Iterator<Item = &str>,
) -> Result<HashMap<String, Shape>, Error> {
    let mut jobs: Vec<&str> = jobs.collect();
    jobs.sort_unstable();
    jobs.dedup();
    let rows =
        sqlx::query("select job_id, stages, independent from interp_job where job_id = any($1)")
            .bind(jobs)
            .fetch_all(connection)
            .await?;
    rows.iter()
        .map(|row| {
            let shape = Shape {
                stages: row.try_get::<i16, _>("stages")?.into(),
                independent: row.try_get("independent")?,
            };
            Ok((row.try_get("job_id")?, shape))
        })
        .collect()
}

/// What is added to the counters, by job.
#[derive(Default)]
pub(super) struct Deltas(BTreeMap<JobId, Delta>);

impl Deltas {
    /// Counts an item that ended in `state`; `first` says that it is a stage 0, and `dead` that its latent never fires.
    pub(super) fn over(&mut self, job: &JobId, state: i16, first: bool, dead: bool) {
        if state == WAITS {
            return;
        }
        let delta = self.0.entry(job.clone()).or_default();
        delta.done += 1;
        match state {
            DEAD => {
                delta.failed += 1;
                delta.failed_latents += i64::from(first);
            }
            SKIPPED => {
                delta.skipped += 1;
                delta.dead_latents += i64::from(first && dead);
                delta.skipped_latents += i64::from(first && !dead);
            }
            _ => {}
        }
    }

    /// Writes them.
    pub(super) async fn add(
        &self,
        connection: &mut PgConnection,
        owner: Uuid,
    ) -> Result<(), Error> {
        let deltas = self.0.iter().map(|(job, delta)| (job, *delta)).collect();
        counts::add(connection, owner, &deltas).await
    }
}

/// Gives items that wait for their stage 0 the state that follows from its end.
pub(super) async fn follow(
    connection: &mut PgConnection,
    followers: &[Follower],
    deltas: &mut Deltas,
) -> Result<(), Error> {
    if followers.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "with c as (
             select w.job_id, w.ord, c.state from work_item w
             join unnest($1::text[], $2::int[], $3::smallint[]) c(job_id, ord, state)
               on w.job_id = c.job_id and w.ord = c.ord
             where w.state = 4 order by w.job_id, w.ord for update of w)
         update work_item w set state = c.state from c where w.job_id = c.job_id and w.ord = c.ord
         returning w.job_id, w.state",
    )
    .bind(
        followers
            .iter()
            .map(|follower| follower.job.id())
            .collect::<Vec<_>>(),
    )
    .bind(
        followers
            .iter()
            .map(|follower| follower.ord)
            .collect::<Vec<_>>(),
    )
    .bind(
        followers
            .iter()
            .map(|follower| follower.state)
            .collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    for row in &rows {
        let job: String = row.try_get("job_id")?;
        let job = job
            .parse()
            .map_err(|error: IdError| Error::unreadable(TABLE, error))?;
        deltas.over(&job, row.try_get("state")?, false, false);
    }
    Ok(())
}

/// What follows from items that were given up.
pub(super) async fn given_up(
    connection: &mut PgConnection,
    items: &[(String, i32)],
) -> Result<(), Error> {
    if items.is_empty() {
        return Ok(());
    }
    let shapes = shapes(connection, items.iter().map(|(job, _)| job.as_str())).await?;
    let mut deltas = Deltas::default();
    let mut followers = Vec::new();
    for (id, ord) in items {
        let Some(shape) = shapes.get(id) else {
            continue;
        };
        let job: JobId = id
            .parse()
            .map_err(|error: IdError| Error::unreadable(TABLE, error))?;
        let ord = (*ord).max(0) as u32;
        let first = shape.stage(ord) == 0;
        deltas.over(&job, DEAD, first, false);
        if first {
            followers.extend(shape.followers(&job, ord, DEAD));
        }
    }
    follow(connection, &followers, &mut deltas).await?;
    // Nobody's: no process did this.
    deltas.add(connection, Uuid::nil()).await
}
