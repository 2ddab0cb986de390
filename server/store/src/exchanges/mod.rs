//! Calls of language models and their answers, under the hash of what was asked: no answer is paid for twice.
//!
//! [`Exchanges::begin`] says what to do about a call: take the answer that is stored, make the call, or wait for whoever makes it.
//! Only one process makes a call at a time; within a process its callers see to that themselves. A call whose process died is begun again; whether the
//! endpoint had seen it nobody knows, and `sends` tells of it.

mod answer;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use latentd_domain::{IdError, JobId, ProviderId, autointerp::Usage};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{Error, Store, leases::Owner, text};

const TABLE: &str = "llm_exchange";

/// A call that is to be made unless it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// Hash of the call and of who is asked.
    pub hash: String,
    /// Whom.
    pub provider: ProviderId,
    /// What the provider calls its model.
    pub model: String,
    /// The job that asks.
    pub job: JobId,
    /// The call.
    pub request: Value,
}

/// What to do about a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// Nothing: this is the answer.
    Answered(Stored),
    /// Make it, then say what came of it by [`Exchanges::answer`] or [`Exchanges::fail`].
    Mine,
    /// Wait, and ask again: another process makes it, or it was asked for twice.
    Elsewhere,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The answer.
    pub reply: Value,
    /// Tokens that it took.
    pub usage: Usage,
    /// What it cost, in millionths of a US dollar.
    pub micros: i64,
}

/// An answer that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Hash of the call.
    pub hash: String,
    /// The job that pays.
    pub job: JobId,
    /// The answer.
    pub reply: Value,
    /// Tokens that it took.
    pub usage: Usage,
    /// What it cost, in millionths of a US dollar.
    pub micros: i64,
}

/// A call with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Hash of the call.
    pub hash: String,
    /// Who was asked.
    pub provider: ProviderId,
    /// What the provider calls its model.
    pub model: String,
    /// The job that asked first.
    pub job: JobId,
    /// The call.
    pub request: Value,
    /// The answer, if there is one.
    pub answer: Option<Stored>,
    /// Times the call was begun.
    pub sends: u32,
    /// Why it failed last, if it did.
    pub error: Option<String>,
    /// When it was begun first.
    pub create_time: OffsetDateTime,
    /// When it was answered.
    pub answer_time: Option<OffsetDateTime>,
}

/// Statements on table `llm_exchange`.
#[derive(Clone, Copy)]
pub struct Exchanges<'a>(pub(crate) &'a Store);

impl Exchanges<'_> {
    /// Begins calls, as far as they are to be made; one outcome for each, in their order. `longest` is the longest that a call can
    /// take with all its repetitions: after that it may be begun again even though `owner` is alive.
    ///
    /// `owner` must be alive by [`Processes::heartbeat`](crate::processes::Processes::heartbeat). It never waits for itself: a call that
    /// it began is its own again, as it may not have heard that it had begun it. So it asks for one call at a time only.
    pub async fn begin(
        self,
        calls: &[Begin],
        owner: Owner,
        longest: Duration,
    ) -> Result<Vec<Begun>, Error> {
        let mut first = HashSet::new();
        let mut unique: Vec<&Begin> = calls
            .iter()
            .filter(|call| first.insert(&call.hash))
            .collect();
        // Rows are locked in this order.
        unique.sort_by(|a, b| a.hash.cmp(&b.hash));
        // A job that repeats another one writes nothing.
        let mut answers = self.answered(&hashes(&unique)).await?;
        unique.retain(|call| !answers.contains_key(&call.hash));
        let mut mine = self.claim(&unique, owner, longest).await?;
        unique.retain(|call| !mine.contains(&call.hash));
        answers.extend(self.answered(&hashes(&unique)).await?);
        let begun = calls.iter().map(|call| match answers.get(&call.hash) {
            Some(answer) => Begun::Answered(answer.clone()),
            // Of equal calls the first makes it.
            None if mine.remove(&call.hash) => Begun::Mine,
            None => Begun::Elsewhere,
        });
        Ok(begun.collect())
    }

    /// Hashes of the calls that `owner` is to make. The commit does not wait for the disk: a crash of the database loses at most
    /// that a call was begun, and with it the answer that was not there yet.
    async fn claim(
        self,
        calls: &[&Begin],
        owner: Owner,
        longest: Duration,
    ) -> Result<HashSet<String>, Error> {
        if calls.is_empty() {
            return Ok(HashSet::new());
        }
        let column = |value: fn(&Begin) -> String| -> Vec<String> {
            calls.iter().map(|call| value(call)).collect()
        };
        let hashes: Vec<String> = sqlx::query_scalar(
            "insert into llm_exchange as e (hash, provider, model, job_id, request, owner, lease_until)
             select c.hash, c.provider, c.model, c.job_id, c.request::json, $6, (select lease_now()) + make_interval(secs => $7)
             from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
                     with ordinality c(hash, provider, model, job_id, request, n),
                 (select set_config('synchronous_commit', 'off', true)) as s
             order by c.n
             on conflict (hash) do update
             set state = 0, owner = excluded.owner, lease_until = excluded.lease_until, sends = e.sends + 1
             where e.state = 2 or (e.state = 0 and (e.owner = excluded.owner or e.lease_until <= (select lease_now()) or not exists (
                 select from process p where p.owner = e.owner and p.lease_until > (select lease_now()))))
             returning hash",
        )
        .bind(column(|call| call.hash.clone()))
        .bind(column(|call| call.provider.id().to_owned()))
        .bind(column(|call| text::storable(&call.model)))
        .bind(column(|call| call.job.id().to_owned()))
        .bind(column(|call| call.request.to_string()))
        .bind(owner.0)
        .bind(longest.as_secs_f64())
        .fetch_all(self.0.pool())
        .await?;
        Ok(hashes.into_iter().collect())
    }

    /// The answers that are stored for some of these hashes: a cheap look for what was [`Begun::Elsewhere`], before the next
    /// [`Exchanges::begin`].
    pub async fn answered(self, hashes: &[&str]) -> Result<HashMap<String, Stored>, Error> {
        if hashes.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query(
            "select hash, reply, prompt_tokens, completion_tokens, micros from llm_exchange
             where hash = any($1) and state = 1",
        )
        .bind(hashes)
        .fetch_all(self.0.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("hash")?, stored(row)?)))
            .collect()
    }

    /// Looks a call up.
    pub async fn find(self, hash: &str) -> Result<Option<Exchange>, Error> {
        let row = sqlx::query(
            "select hash, provider, model, job_id, request, reply, prompt_tokens, completion_tokens, micros, sends, error,
                 create_time, answer_time
             from llm_exchange where hash = $1",
        )
        .bind(hash)
        .fetch_optional(self.0.pool())
        .await?;
        row.as_ref().map(read).transpose()
    }
}

fn hashes<'a>(calls: &[&'a Begin]) -> Vec<&'a str> {
    calls.iter().map(|call| call.hash.as_str()).collect()
}

fn stored(row: &PgRow) -> Result<Stored, Error> {
    let undecodable = |error: sqlx::Error| Error::unreadable(TABLE, error);
    Ok(Stored {
        reply: row
            .try_get::<Json<Value>, _>("reply")
            .map_err(undecodable)?
            .0,
        usage: Usage {
            prompt_tokens: row.try_get::<i64, _>("prompt_tokens")?.max(0) as u64,
            completion_tokens: row.try_get::<i64, _>("completion_tokens")?.max(0) as u64,
        },
        micros: row.try_get("micros")?,
    })
}

fn read(row: &PgRow) -> Result<Exchange, Error> {
    let unreadable = |error: IdError| Error::unreadable(TABLE, error);
    let undecodable = |error: sqlx::Error| Error::unreadable(TABLE, error);
    let answer_time: Option<OffsetDateTime> = row.try_get("answer_time")?;
    Ok(Exchange {
        hash: row.try_get("hash")?,
        provider: row
            .try_get::<String, _>("provider")?
            .parse()
            .map_err(unreadable)?,
        model: row.try_get("model")?,
        job: row
            .try_get::<String, _>("job_id")?
            .parse()
            .map_err(unreadable)?,
        request: row
            .try_get::<Json<Value>, _>("request")
            .map_err(undecodable)?
            .0,
        answer: answer_time.map(|_| stored(row)).transpose()?,
        sends: row.try_get::<i32, _>("sends")?.max(0) as u32,
        error: row.try_get("error")?,
        create_time: row.try_get("create_time")?,
        answer_time,
    })
}
