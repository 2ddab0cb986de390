//! How far a job is and what it spent: a few rows of counters, added to in the transaction of what they count.

use std::collections::BTreeMap;

use latentd_domain::{JobId, autointerp::Usage};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::Interp;
use crate::Error;

/// Work items of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items in all; 0 while they are not made.
    pub total: u64,
    /// Items that are over, those that failed or had nothing to do included.
    pub done: u64,
    /// Items that could not be done.
    pub failed: u64,
    /// Items for which there was nothing to do.
    pub skipped: u64,
    /// Latents that never fire.
    pub dead_latents: u64,
    /// Latents left out for another reason.
    pub skipped_latents: u64,
    /// Latents whose explanation failed.
    pub failed_latents: u64,
}

/// What a job cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// Calls of providers, those that failed included.
    pub calls: u64,
    /// Calls that failed.
    pub failed_calls: u64,
    /// Answers that were taken from the store instead.
    pub reused: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Millionths of a US dollar.
    pub micros: i64,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Its items.
    pub counts: Counts,
    /// What it cost.
    pub spent: Spent,
}

impl Interp<'_> {
    /// How far a job is and what it spent. Reads one row for each process that worked on it.
    pub async fn progress(self, job: &JobId) -> Result<Progress, Error> {
        progress(&mut *self.0.pool().acquire().await?, job).await
    }
}

/// How far a job is, as this transaction sees it.
pub(crate) async fn progress(
    connection: &mut PgConnection,
    job: &JobId,
) -> Result<Progress, Error> {
    let row = sqlx::query(
            "select coalesce((select latents::bigint * stages from interp_job where job_id = $1), 0) as total,
                 coalesce(sum(done), 0)::bigint as done, coalesce(sum(failed), 0)::bigint as failed,
                 coalesce(sum(skipped), 0)::bigint as skipped, coalesce(sum(dead_latents), 0)::bigint as dead_latents,
                 coalesce(sum(skipped_latents), 0)::bigint as skipped_latents,
                 coalesce(sum(failed_latents), 0)::bigint as failed_latents,
                 coalesce(sum(calls), 0)::bigint as calls, coalesce(sum(failed_calls), 0)::bigint as failed_calls,
                 coalesce(sum(reused), 0)::bigint as reused,
                 coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
                 coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
                 coalesce(sum(micros), 0)::bigint as micros
             from job_count where job_id = $1",
        )
        .bind(job.id())
        .fetch_one(connection)
        .await?;
    Ok(Progress {
        counts: Counts {
            total: count(&row, "total")?,
            done: count(&row, "done")?,
            failed: count(&row, "failed")?,
            skipped: count(&row, "skipped")?,
            dead_latents: count(&row, "dead_latents")?,
            skipped_latents: count(&row, "skipped_latents")?,
            failed_latents: count(&row, "failed_latents")?,
        },
        spent: Spent {
            calls: count(&row, "calls")?,
            failed_calls: count(&row, "failed_calls")?,
            reused: count(&row, "reused")?,
            prompt_tokens: count(&row, "prompt_tokens")?,
            completion_tokens: count(&row, "completion_tokens")?,
            micros: row.try_get("micros")?,
        },
    })
}
pub(super) fn count(row: &PgRow, column: &str) -> Result<u64, Error> {
    Ok(row.try_get::<i64, _>(column)?.max(0) as u64)
}

/// What is added to the counters of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) done: i64,
    pub(crate) failed: i64,
    pub(crate) skipped: i64,
    pub(crate) dead_latents: i64,
    pub(crate) skipped_latents: i64,
    pub(crate) failed_latents: i64,
    pub(crate) calls: i64,
    pub(crate) failed_calls: i64,
    pub(crate) reused: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) micros: i64,
}

impl Delta {
    /// Adds what a call took.
    pub(crate) fn usage(&mut self, usage: Usage, micros: i64) {
        self.prompt_tokens = self
            .prompt_tokens
            .saturating_add_unsigned(usage.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add_unsigned(usage.completion_tokens);
        self.micros = self.micros.saturating_add(micros);
    }
}

/// Adds to the counters that `owner` keeps of these jobs. The last statement of a transaction, so that their rows are locked
/// shortly and after all others; jobs come in their order, so that nothing deadlocks.
pub(crate) async fn add(
    connection: &mut PgConnection,
    owner: Uuid,
    deltas: &BTreeMap<&JobId, Delta>,
) -> Result<(), Error> {
    for (job, delta) in deltas {
        sqlx::query(
            "insert into job_count as c (job_id, owner, done, failed, skipped, dead_latents, skipped_latents, failed_latents,
                 calls, failed_calls, reused, prompt_tokens, completion_tokens, micros)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             on conflict (job_id, owner) do update
             set done = c.done + excluded.done, failed = c.failed + excluded.failed, skipped = c.skipped + excluded.skipped,
                 dead_latents = c.dead_latents + excluded.dead_latents,
                 skipped_latents = c.skipped_latents + excluded.skipped_latents,
                 failed_latents = c.failed_latents + excluded.failed_latents, calls = c.calls + excluded.calls,
                 failed_calls = c.failed_calls + excluded.failed_calls, reused = c.reused + excluded.reused,
                 prompt_tokens = c.prompt_tokens + excluded.prompt_tokens,
                 completion_tokens = c.completion_tokens + excluded.completion_tokens, micros = c.micros + excluded.micros",
        )
        .bind(job.id())
        .bind(owner)
        .bind(delta.done)
        .bind(delta.failed)
        .bind(delta.skipped)
        .bind(delta.dead_latents)
        .bind(delta.skipped_latents)
        .bind(delta.failed_latents)
        .bind(delta.calls)
        .bind(delta.failed_calls)
        .bind(delta.reused)
        .bind(delta.prompt_tokens)
        .bind(delta.completion_tokens)
        .bind(delta.micros)
        .execute(&mut *connection)
        .await
        .map_err(|error| {
            Error::on_constraint(error, "job_count_job_id_fkey", || Error::UnknownJob((*job).clone()))
        })?;
    }
    Ok(())
}
