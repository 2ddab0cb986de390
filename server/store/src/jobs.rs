//! Jobs as clients see them: asked for, looked up, listed, asked to stop. What those who do the work need is in `leases.rs`.

use std::collections::BTreeMap;

use latentd_domain::{IdError, JobId, Reason};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{
    Error, Store, events,
    interp::{ItemReason, Spent},
    page::{Listed, Page},
    pauses::PauseReason,
    signals,
};

const TABLE: &str = "job";

/// The columns that [`read`] needs.
macro_rules! job_columns {
    () => {
        "id, number, kind, spec, result, state, progress, error, attempts, cancel_requested, pause_reason, create_time, start_time, \
         end_time, coalesce(spec->>'cache', '') as cache"
    };
}
pub(crate) use job_columns;

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Waits to be resumed.
    Paused,
    /// Ended, with all results stored.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended because it was asked to.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: [JobState; 6] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in the database: `queued`, `running`, `paused`, `succeeded`, `failed` or `cancelled`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will happen to the job any more.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn read(row: &PgRow, table: &'static str) -> Result<Self, Error> {
        let name: &str = row.try_get("state")?;
        let state = Self::ALL.into_iter().find(|state| state.as_str() == name);
        state.ok_or_else(|| Error::unreadable(table, format!("state {name}")))
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// What it does now, such as `tokenizing` or `encoding`.
    pub phase: String,
    /// What is counted, such as `tokens`.
    pub unit: String,
    /// Units done and committed.
    pub done: u64,
    /// Units in all; 0 while it is not known.
    pub total: u64,
    /// Units a second, over the last seconds of work.
    pub rate: f64,
    /// Seconds to go at that rate; `None` while it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<f64>,
    /// Units that could not be done, of those that are done.
    pub failed: u64,
    /// Units for which there was nothing to do, of those that are done.
    pub skipped: u64,
    /// What it cost so far; only of jobs that call providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// Why units failed or were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<ItemReason>,
    /// What is not as the caller may think, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why a job failed, as clients may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailure {
    /// The reason.
    #[serde(with = "reason_name")]
    pub reason: Reason,
    /// What went wrong and where, for people.
    pub message: String,
    /// Details, by name.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// A reason by its name; one that a newer version wrote reads as INTERNAL.
pub(crate) mod reason_name {
    use latentd_domain::Reason;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub(crate) fn serialize<S: Serializer>(
        reason: &Reason,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(reason.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Reason, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Reason::parse(&name).unwrap_or(Reason::Internal))
    }
}

/// Long work.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Rises with every job.
    pub number: i64,
    /// Kind of work, such as `build_cache`.
    pub kind: String,
    /// The request that started it.
    pub spec: serde_json::Value,
    /// Resource that it makes, such as `caches/{cache}`.
    pub result: String,
    /// The cache that it is about, `caches/{cache}`.
    pub cache: String,
    /// Where it stands.
    pub state: JobState,
    /// How far it is.
    pub progress: Progress,
    /// Why it failed; only in state [`JobState::Failed`].
    pub error: Option<JobFailure>,
    /// Times it began to work.
    pub attempts: u32,
    /// Someone asked it to stop.
    pub cancel_requested: bool,
    /// Why it is paused; only in state [`JobState::Paused`].
    pub pause_reason: Option<PauseReason>,
    /// When it was asked for.
    pub create_time: OffsetDateTime,
    /// When it first began to work.
    pub start_time: Option<OffsetDateTime>,
    /// When it ended.
    pub end_time: Option<OffsetDateTime>,
}

/// What makes a repeated request the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The client's request id.
    pub id: String,
    /// Digest of the request, without what the server fills in at random.
    pub digest: String,
}

/// Work that is asked for.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Kind of work.
    pub kind: String,
    /// The request, complete.
    pub spec: serde_json::Value,
    /// Resource that it makes.
    pub result: String,
    /// The client's request id, if it gave one.
    pub request: Option<RequestKey>,
}

/// What asking for work led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// A new job.
    Created(Job),
    /// The job that the same request started earlier.
    Existing(Job),
}

impl Submitted {
    /// The job, new or not.
    pub fn into_job(self) -> Job {
        match self {
            Self::Created(job) | Self::Existing(job) => job,
        }
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only jobs in these states; all if empty.
    pub states: Vec<JobState>,
    /// Only jobs of this kind; all if empty.
    pub kind: String,
}

/// Statements on table `job` that clients ask for.
#[derive(Clone, Copy)]
pub struct Jobs<'a>(pub(crate) &'a Store);

impl Jobs<'_> {
    /// Asks for work.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] if the request id was used with another request.
    pub async fn submit(self, job: &NewJob) -> Result<Submitted, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let submitted = insert(&mut transaction, job).await?;
        transaction.commit().await?;
        if let Submitted::Created(job) = &submitted {
            self.0.changed(&job.id);
        }
        Ok(submitted)
    }

    /// The job that a request started earlier, for a caller that would otherwise refuse the request.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] if the request id was used with another request.
    pub async fn submitted(self, kind: &str, request: &RequestKey) -> Result<Option<Job>, Error> {
        let mut connection = self.0.pool().acquire().await?;
        by_request(&mut connection, kind, request).await
    }

    /// Looks a job up.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn get(self, id: &JobId) -> Result<Job, Error> {
        let row = sqlx::query(concat!(
            "select ",
            job_columns!(),
            " from job where id = $1"
        ))
        .bind(id.id())
        .fetch_optional(self.0.pool())
        .await?;
        read(&row.ok_or_else(|| Error::UnknownJob(id.clone()))?)
    }

    /// Whether somebody asked a job to stop. Reads no spec, which may be megabytes.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn cancel_requested(self, id: &JobId) -> Result<bool, Error> {
        let asked: Option<bool> =
            sqlx::query_scalar("select cancel_requested from job where id = $1")
                .bind(id.id())
                .fetch_optional(self.0.pool())
                .await?;
        asked.ok_or_else(|| Error::UnknownJob(id.clone()))
    }

    /// Where a job stands. Reads no spec.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn state(self, id: &JobId) -> Result<JobState, Error> {
        let row = sqlx::query("select state from job where id = $1")
            .bind(id.id())
            .fetch_optional(self.0.pool())
            .await?;
        JobState::read(&row.ok_or_else(|| Error::UnknownJob(id.clone()))?, TABLE)
    }

    /// Lists jobs, newest first.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`].
    pub async fn list(self, filter: &Filter, page: &Page) -> Result<Listed<Job>, Error> {
        let mut states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        states.sort_unstable();
        let list = format!("jobs {} {}", states.join(","), filter.kind);
        let after = match page.after(&list)? {
            None => None,
            Some(key) => Some(key.parse::<i64>().map_err(|_| Error::InvalidPageToken)?),
        };
        let rows = sqlx::query(concat!(
            "select ",
            job_columns!(),
            " from job
              where (cardinality($1::text[]) = 0 or state = any($1)) and ($2 = '' or kind = $2)
                and ($3::bigint is null or number < $3)
              order by number desc limit $4"
        ))
        .bind(&states)
        .bind(&filter.kind)
        .bind(after)
        .bind(page.limit())
        .fetch_all(self.0.pool())
        .await?;
        let jobs = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(page.cut(&list, jobs, |job| job.number.to_string()))
    }

    /// Asks a job to stop. One that waits or is paused ends at once; one at work ends when its worker sees the request.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::JobEnded`].
    pub async fn request_cancel(self, id: &JobId) -> Result<Job, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let row =
            sqlx::query("select state, cancel_requested from job where id = $1 for no key update")
                .bind(id.id())
                .fetch_optional(&mut *transaction)
                .await?
                .ok_or_else(|| Error::UnknownJob(id.clone()))?;
        let state = JobState::read(&row, TABLE)?;
        if state.has_ended() {
            return Err(Error::JobEnded(id.clone()));
        }
        if row.try_get("cancel_requested")? {
            drop(transaction);
            return self.get(id).await;
        }
        let row = sqlx::query(concat!(
            "update job set cancel_requested = true,
                 state = case when state in ('queued', 'paused') then 'cancelled' else state end,
                 end_time = case when state in ('queued', 'paused') then now() end, pause_reason = null
             where id = $1 returning ",
            job_columns!()
        ))
        .bind(id.id())
        .fetch_one(&mut *transaction)
        .await?;
        let job = read(&row)?;
        if job.state.has_ended() {
            abandon_parts(&mut transaction, id).await?;
        }
        events::append(&mut transaction, id, events::Kind::Change).await?;
        signals::notify(&mut transaction, id).await?;
        transaction.commit().await?;
        self.0.changed(id);
        Ok(job)
    }
}

/// Writes a job and its first event, unless the same request did so before.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    job: &NewJob,
) -> Result<Submitted, Error> {
    let inserted = sqlx::query(concat!(
        "insert into job (kind, spec, result, request_id, request_digest) values ($1, $2, $3, $4, $5)
         on conflict on constraint job_request do nothing returning ",
        job_columns!()
    ))
    .bind(&job.kind)
    .bind(Json(&job.spec))
    .bind(&job.result)
    .bind(job.request.as_ref().map(|request| &request.id))
    .bind(job.request.as_ref().map(|request| &request.digest))
    .fetch_optional(&mut *connection)
    .await?;
    match (inserted, &job.request) {
        (Some(row), _) => {
            let job = read(&row)?;
            events::append(connection, &job.id, events::Kind::Change).await?;
            signals::notify(connection, &job.id).await?;
            Ok(Submitted::Created(job))
        }
        (None, Some(request)) => {
            // The conflict means that the other row is committed, and jobs are never deleted.
            let existing = by_request(connection, &job.kind, request).await?;
            existing
                .map(Submitted::Existing)
                .ok_or_else(|| Error::from(sqlx::Error::RowNotFound))
        }
        (None, None) => Err(sqlx::Error::RowNotFound.into()),
    }
}

/// The job that a request started.
async fn by_request(
    connection: &mut PgConnection,
    kind: &str,
    request: &RequestKey,
) -> Result<Option<Job>, Error> {
    let row = sqlx::query(concat!(
        "select request_digest, ",
        job_columns!(),
        " from job where kind = $1 and request_id = $2"
    ))
    .bind(kind)
    .bind(&request.id)
    .fetch_optional(connection)
    .await?;
    match row {
        None => Ok(None),
        Some(row) if row.try_get::<&str, _>("request_digest")? == request.digest => {
            read(&row).map(Some)
        }
        Some(_) => Err(Error::RequestIdReused {
            request_id: request.id.clone(),
        }),
    }
}

/// Ends what hangs on a job that ends without success: its cache has failed, its open work items are dead.
pub(crate) async fn abandon_parts(connection: &mut PgConnection, job: &JobId) -> Result<(), Error> {
    sqlx::query("update cache set state = 'failed' where job_id = $1 and state = 'building'")
        .bind(job.id())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "update work_item set state = 3, lease_owner = null, lease_until = null, epoch = epoch + 1
         where (job_id, ord) in (
             select job_id, ord from work_item where job_id = $1 and state in (0, 1, 4) order by job_id, ord for update)",
    )
    .bind(job.id())
    .execute(connection)
    .await?;
    Ok(())
}

/// A job from a row with [`job_columns`].
pub(crate) fn read(row: &PgRow) -> Result<Job, Error> {
    let id: String = row.try_get("id")?;
    let unreadable = |error: sqlx::Error| Error::unreadable(TABLE, error);
    Ok(Job {
        id: id
            .parse()
            .map_err(|error: IdError| Error::unreadable(TABLE, error))?,
        number: row.try_get("number")?,
        kind: row.try_get("kind")?,
        spec: row.try_get("spec")?,
        result: row.try_get("result")?,
        cache: row.try_get("cache")?,
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
        create_time: row.try_get("create_time")?,
        start_time: row.try_get("start_time")?,
        end_time: row.try_get("end_time")?,
    })
}
