//! Jobs that wait until somebody lets them go on: paused on request, or because their budget is spent.
//!
//! A pause takes the job's lease away. Items at work are finished by whoever holds them, and no new ones are claimed, because only
//! items of running jobs are.

use latentd_domain::{
    JobId,
    autointerp::{AutointerpSpec, Budget},
};
use sqlx::{Row, postgres::PgRow, types::Json};

use crate::{
    Error, events,
    interp::{KINDS, counts},
    jobs::{Job, JobState, Jobs, Progress, job_columns, read},
    signals,
};

const TABLE: &str = "job";

/// Why a job is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseReason {
    /// Somebody asked for it.
    Requested,
    /// Its budget is spent.
    Budget,
    /// A provider refused its key, or does not know the model: every call would fail so.
    Provider,
}

impl PauseReason {
    /// The name: `requested`, `budget` or `provider`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Budget => "budget",
            Self::Provider => "provider",
        }
    }

    /// What the progress of the job says.
    const fn phase(self) -> &'static str {
        match self {
            Self::Requested => "paused",
            Self::Budget => "paused: the budget is spent",
            Self::Provider => "paused: a provider refuses every call",
        }
    }

    pub(crate) fn read(row: &PgRow, table: &'static str) -> Result<Option<Self>, Error> {
        match row.try_get("pause_reason")? {
            None => Ok(None),
            Some("requested") => Ok(Some(Self::Requested)),
            Some("budget") => Ok(Some(Self::Budget)),
            Some("provider") => Ok(Some(Self::Provider)),
            Some(other) => Err(Error::unreadable(table, format!("pause reason {other}"))),
        }
    }
}

/// What a job may spend from now on, in all; `None` leaves a limit as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raise {
    /// Calls of providers.
    pub calls: Option<u64>,
    /// Tokens of prompts and answers.
    pub tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub micros: Option<i64>,
}

impl Jobs<'_> {
    /// Pauses a job that waits or is at work. A job that is paused already, or was asked to stop, is left as it is.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::JobEnded`], [`Error::JobNotPausable`].
    pub async fn request_pause(self, id: &JobId, reason: PauseReason) -> Result<Job, Error> {
        self.pause(id, reason, None).await
    }

    /// Pauses a job whose budget is spent, unless it has another budget than `seen` by now. The job that comes back says whether it
    /// is paused.
    ///
    /// # Errors
    /// As [`Jobs::request_pause`].
    pub async fn pause_spent(self, id: &JobId, seen: Budget) -> Result<Job, Error> {
        self.pause(id, PauseReason::Budget, Some(seen)).await
    }

    /// Pauses a job, if it has the budget that was `seen`.
    async fn pause(
        self,
        id: &JobId,
        reason: PauseReason,
        seen: Option<Budget>,
    ) -> Result<Job, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let job = read(&lock(&mut transaction, id).await?)?;
        if job.state.has_ended() {
            return Err(Error::JobEnded(id.clone()));
        }
        if !KINDS.contains(&job.kind.as_str()) {
            return Err(Error::JobNotPausable(id.clone()));
        }
        if job.state == JobState::Paused || job.cancel_requested {
            return Ok(job);
        }
        if let Some(seen) = seen {
            let spec: AutointerpSpec = serde_json::from_value(job.spec.clone())
                .map_err(|error| Error::unreadable(TABLE, error))?;
            if spec.budget != seen {
                return Ok(job);
            }
        }
        // Nobody reports any more, so this report has to be right.
        let found = counts::progress(&mut transaction, id).await?;
        let progress = Progress {
            phase: reason.phase().to_owned(),
            rate: 0.0,
            eta_seconds: None,
            done: found.counts.done,
            total: found.counts.total,
            failed: found.counts.failed,
            skipped: found.counts.skipped,
            spent: Some(found.spent),
            ..job.progress
        };
        let row = sqlx::query(concat!(
            "update job set state = 'paused', pause_reason = $2, lease_owner = null, lease_until = null,
                 epoch = epoch + 1, stalls = 0,
                 progress = $3
             where id = $1 returning ",
            job_columns!()
        ))
        .bind(id.id())
        .bind(reason.as_str())
        .bind(Json(progress))
        .fetch_one(&mut *transaction)
        .await?;
        events::append(&mut transaction, id, events::Kind::Change).await?;
        signals::notify(&mut transaction, id).await?;
        transaction.commit().await?;
        self.0.changed(id);
        read(&row)
    }

    /// Lets a paused job go on, with a larger budget where one is given.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::JobEnded`], [`Error::JobNotPausable`], [`Error::JobNotPaused`].
    pub async fn resume(self, id: &JobId, raise: Raise) -> Result<Job, Error> {
        let mut transaction = self.0.pool().begin().await?;
        let job = read(&lock(&mut transaction, id).await?)?;
        if job.state.has_ended() {
            return Err(Error::JobEnded(id.clone()));
        }
        if !KINDS.contains(&job.kind.as_str()) {
            return Err(Error::JobNotPausable(id.clone()));
        }
        if job.state != JobState::Paused {
            return Err(Error::JobNotPaused(id.clone()));
        }
        let mut spec: AutointerpSpec =
            serde_json::from_value(job.spec).map_err(|error| Error::unreadable(TABLE, error))?;
        spec.budget.calls = raise.calls.or(spec.budget.calls);
        spec.budget.tokens = raise.tokens.or(spec.budget.tokens);
        spec.budget.micros = raise.micros.or(spec.budget.micros);
        let row = sqlx::query(concat!(
            "update job set state = 'queued', pause_reason = null, spec = $2,
                 progress = progress || '{\"phase\": \"waiting\"}'
             where id = $1 returning ",
            job_columns!()
        ))
        .bind(id.id())
        .bind(Json(&spec))
        .fetch_one(&mut *transaction)
        .await?;
        events::append(&mut transaction, id, events::Kind::Change).await?;
        signals::notify(&mut transaction, id).await?;
        transaction.commit().await?;
        self.0.changed(id);
        read(&row)
    }
}

async fn lock(connection: &mut sqlx::PgConnection, id: &JobId) -> Result<PgRow, Error> {
    let row = sqlx::query(concat!(
        "select ",
        job_columns!(),
        " from job where id = $1 for no key update"
    ))
    .bind(id.id())
    .fetch_optional(connection)
    .await?;
    row.ok_or_else(|| Error::UnknownJob(id.clone()))
}
