//! What happened to jobs, and waiting for what happens next.

use std::collections::VecDeque;

use latentd_domain::JobId;
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{
    Error, Signals, Store,
    jobs::{Job, JobFailure, JobState, Progress},
    pauses::PauseReason,
};

const TABLE: &str = "job_event";
/// Events read at once.
const BATCH: i64 = 256;
/// Events of a job that only tell of progress and are kept: enough for a client that was away for some minutes.
const KEPT_PROGRESS: i64 = 256;

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobEvent {
    /// Grows with every event of the job.
    pub event_id: u64,
    /// When it happened.
    pub time: OffsetDateTime,
    /// The job after it.
    pub job: Job,
}

/// What an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A change of state, or a request to stop: kept as long as the job.
    Change,
    /// Progress: the oldest give way.
    Progress,
}

/// Records the job as it is now. The caller's transaction has changed the job's row, and so holds its lock.
pub(crate) async fn append(
    connection: &mut PgConnection,
    job: &JobId,
    kind: Kind,
) -> Result<(), Error> {
    sqlx::query(
        "insert into job_event (job_id, progress_only, state, progress, error, attempts, cancel_requested, pause_reason,
             start_time, end_time)
         select id, $2, state, progress, error, attempts, cancel_requested, pause_reason, start_time, end_time
         from job where id = $1",
    )
    .bind(job.id())
    .bind(kind == Kind::Progress)
    .execute(&mut *connection)
    .await?;
    if kind == Kind::Progress {
        sqlx::query(
            "delete from job_event where job_id = $1 and progress_only and id <= (
                 select id from job_event where job_id = $1 and progress_only order by id desc offset $2 limit 1)",
        )
        .bind(job.id())
        .bind(KEPT_PROGRESS)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Statements on table `job_event`.
#[derive(Clone, Copy)]
pub struct Events<'a>(pub(crate) &'a Store);

impl Events<'_> {
    /// Follows a job: its events after `after` (0 for all that are kept), then those to come.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn watch(self, job: &JobId, after: u64) -> Result<Watch, Error> {
        // Subscribed before the first look, so that nothing falls between the two.
        let signals = self.0.signals();
        let mut job = self.0.jobs().get(job).await?;
        Ok(Watch {
            store: self.0.clone(),
            signals,
            spec: job.spec.take(),
            job,
            after,
            ready: VecDeque::new(),
        })
    }
}

/// The events of a job, one after the other.
pub struct Watch {
    store: Store,
    signals: Signals,
    /// The job when the watch began: what never changes of it, without its spec.
    job: Job,
    /// The spec, which may be megabytes.
    spec: serde_json::Value,
    after: u64,
    ready: VecDeque<(Kind, JobEvent)>,
}

impl Watch {
    /// The next event, waiting for it; `None` after the event that ended the job. Safe to cancel. An event that only tells of progress
    /// does not repeat the job's spec: it is null there.
    ///
    /// # Errors
    /// After [`Error::DatabaseUnavailable`] it may be called again and goes on where it was.
    pub async fn next(&mut self) -> Result<Option<JobEvent>, Error> {
        loop {
            if let Some((kind, mut event)) = self.ready.pop_front() {
                self.after = event.event_id;
                if kind == Kind::Change {
                    event.job.spec = self.spec.clone();
                }
                return Ok(Some(event));
            }
            // The state is read before the events: what ended the job is then among them, or was seen before.
            let ended = self.store.jobs().state(&self.job.id).await?.has_ended();
            self.ready = self.read_ready().await?;
            if self.ready.is_empty() {
                if ended {
                    return Ok(None);
                }
                self.signals.job(&self.job.id).await;
            }
        }
    }

    async fn read_ready(&self) -> Result<VecDeque<(Kind, JobEvent)>, Error> {
        let rows = sqlx::query(
            "select id, time, progress_only, state, progress, error, attempts, cancel_requested, pause_reason, start_time,
                 end_time
             from job_event where job_id = $1 and id > $2 order by id limit $3",
        )
        .bind(self.job.id.id())
        .bind(i64::try_from(self.after).unwrap_or(i64::MAX))
        .bind(BATCH)
        .fetch_all(self.store.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let progress_only: bool = row.try_get("progress_only")?;
                let kind = if progress_only {
                    Kind::Progress
                } else {
                    Kind::Change
                };
                Ok((kind, read(row, &self.job)?))
            })
            .collect()
    }
}

/// An event from a row, with what never changes taken from `job`.
fn read(row: &PgRow, job: &Job) -> Result<JobEvent, Error> {
    let unreadable = |error: sqlx::Error| Error::unreadable(TABLE, error);
    Ok(JobEvent {
        event_id: row.try_get::<i64, _>("id")?.max(0) as u64,
        time: row.try_get("time")?,
        job: Job {
            state: JobState::read(row, TABLE)?,
            progress: row
                .try_get::<Json<Progress>, _>("progress")
                .map_err(unreadable)?
                .0,
            error: row
                .try_get::<Option<Json<JobFailure>>, _>("error")
                .map_err(unreadable)?
                .map(|json| json.0),
            attempts: row.try_get::<i32, _>("attempts")?.max(0) as u32,
            cancel_requested: row.try_get("cancel_requested")?,
            pause_reason: PauseReason::read(row, TABLE)?,
            start_time: row.try_get("start_time")?,
            end_time: row.try_get("end_time")?,
            ..job.clone()
        },
    })
}
