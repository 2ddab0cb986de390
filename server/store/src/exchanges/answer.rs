//! What comes of calls: answers, which their jobs pay for, and failures.

use std::collections::{BTreeMap, HashSet};

use latentd_domain::{JobId, Reason};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Answered, Exchanges};
use crate::{
    Error,
    interp::counts::{self, Delta},
    leases::Owner,
    text,
};

impl Exchanges<'_> {
    /// Stores answers and adds them to what their jobs spent. Of two answers to one call the first stays; both were paid for. A call
    /// that is repeated because its outcome was lost changes nothing.
    pub async fn answer(self, answers: &[Answered], owner: Owner) -> Result<(), Error> {
        let mut answers: Vec<&Answered> = answers.iter().collect();
        answers.sort_by(|a, b| a.hash.cmp(&b.hash));
        let mut transaction = self.0.pool().begin().await?;
        let repeated = store(&mut transaction, &answers, owner).await?;
        let mut deltas: BTreeMap<&JobId, Delta> = BTreeMap::new();
        for answer in answers {
            if !repeated.contains(&answer.hash) {
                let delta = deltas.entry(&answer.job).or_default();
                delta.calls += 1;
                delta.usage(answer.usage, answer.micros);
            }
        }
        counts::add(&mut transaction, owner.0, &deltas).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Says that a call failed, so that it may be begun again. It counts as a call.
    pub async fn fail(
        self,
        hash: &str,
        job: &JobId,
        owner: Owner,
        why: (Reason, &str),
    ) -> Result<(), Error> {
        let mut transaction = self.0.pool().begin().await?;
        if end(
            &mut transaction,
            hash,
            owner,
            &format!("{}: {}", why.0, why.1),
        )
        .await?
        {
            let delta = Delta {
                calls: 1,
                failed_calls: 1,
                ..Delta::default()
            };
            counts::add(&mut transaction, owner.0, &BTreeMap::from([(job, delta)])).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Says that a call was begun but not made after all, so that it may be begun again. It does not count.
    pub async fn give_back(self, hash: &str, owner: Owner) -> Result<(), Error> {
        let mut connection = self.0.pool().acquire().await?;
        end(&mut connection, hash, owner, "not made").await?;
        Ok(())
    }

    /// Counts answers that were taken from the store.
    pub async fn reused(self, job: &JobId, owner: Owner, count: u64) -> Result<(), Error> {
        let delta = Delta {
            reused: count as i64,
            ..Delta::default()
        };
        let mut connection = self.0.pool().acquire().await?;
        counts::add(&mut connection, owner.0, &BTreeMap::from([(job, delta)])).await
    }
}

/// Stores answers, sorted by hash. Returns the hashes of those that `owner` stored before.
async fn store(
    connection: &mut PgConnection,
    answers: &[&Answered],
    owner: Owner,
) -> Result<HashSet<String>, Error> {
    let hashes: Vec<&str> = answers.iter().map(|answer| answer.hash.as_str()).collect();
    let rows = sqlx::query(
        "select hash, state, owner from llm_exchange where hash = any($1) order by hash for update",
    )
    .bind(&hashes)
    .fetch_all(&mut *connection)
    .await?;
    let mut repeated = HashSet::new();
    for row in &rows {
        if row.try_get::<i16, _>("state")? == 1 && row.try_get::<Uuid, _>("owner")? == owner.0 {
            repeated.insert(row.try_get("hash")?);
        }
    }
    let column = |value: fn(&Answered) -> i64| -> Vec<i64> {
        answers.iter().map(|answer| value(answer)).collect()
    };
    sqlx::query(
        "update llm_exchange e
         set state = 1, reply = c.reply::json, prompt_tokens = c.prompt_tokens, completion_tokens = c.completion_tokens,
             micros = c.micros, owner = $6, answer_time = now(), error = null
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
             c(hash, reply, prompt_tokens, completion_tokens, micros)
         where e.hash = c.hash and e.state <> 1",
    )
    .bind(&hashes)
    .bind(
        answers
            .iter()
            .map(|answer| answer.reply.to_string())
            .collect::<Vec<_>>(),
    )
    .bind(column(|answer| answer.usage.prompt_tokens as i64))
    .bind(column(|answer| answer.usage.completion_tokens as i64))
    .bind(column(|answer| answer.micros))
    .bind(owner.0)
    .execute(connection)
    .await?;
    Ok(repeated)
}

/// Ends a call of `owner` without an answer. Returns whether it was under way.
async fn end(
    connection: &mut PgConnection,
    hash: &str,
    owner: Owner,
    error: &str,
) -> Result<bool, Error> {
    let ended = sqlx::query(
        "update llm_exchange set state = 2, error = $3 where hash = $1 and owner = $2 and state = 0",
    )
    .bind(hash)
    .bind(owner.0)
    .bind(text::short(error))
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() > 0)
}
