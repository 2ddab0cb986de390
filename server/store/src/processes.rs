//! Server processes that are alive. The limits of a provider are shared out among them, and what a dead one had under way may be
//! begun again by another.

use std::time::Duration;

use sqlx::Row;

use crate::{Error, Store, leases::Owner};

/// The processes that are alive, as one of them sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// How many there are, this one included.
    pub count: u32,
    /// Place of this one among them, from 0: whoever shares something out gives what is left over to the first.
    pub rank: u32,
}

/// Statements on table `process`.
#[derive(Clone, Copy)]
pub struct Processes<'a>(pub(crate) &'a Store);

impl Processes<'_> {
    /// Says that `owner` is alive and will be for `lease`. Call it once before anything is begun under `owner`, and then a few times
    /// within the length of a lease.
    ///
    /// Exchanges need no renewal: they are `owner`'s for as long as it is alive. Work items do, by
    /// [`Interp::renew`](crate::interp::Interp::renew): only who works on them knows which they are.
    pub async fn heartbeat(self, owner: Owner, lease: Duration) -> Result<Alive, Error> {
        let row = sqlx::query(
            "with me as (
                 insert into process (owner, lease_until) values ($1, lease_now() + make_interval(secs => $2))
                 on conflict (owner) do update set lease_until = excluded.lease_until),
             gone as (delete from process where lease_until < lease_now() - interval '1 hour' and owner <> $1)
             select count(*) + 1 as count, count(*) filter (where owner < $1) as rank
             from process where lease_until > (select lease_now()) and owner <> $1",
        )
        .bind(owner.0)
        .bind(lease.as_secs_f64())
        .fetch_one(self.0.pool())
        .await?;
        Ok(Alive {
            count: row.try_get::<i64, _>("count")?.max(1) as u32,
            rank: row.try_get::<i64, _>("rank")?.max(0) as u32,
        })
    }

    /// How many processes are alive.
    pub async fn alive(self) -> Result<u32, Error> {
        let count: i64 = sqlx::query_scalar(
            "select count(*) from process where lease_until > (select lease_now())",
        )
        .fetch_one(self.0.pool())
        .await?;
        Ok(count.max(0) as u32)
    }

    /// Says that `owner` stops in good order: what it had under way may be begun again at once. Work items are given back by
    /// [`Leases::release`](crate::leases::Leases::release).
    pub async fn leave(self, owner: Owner) -> Result<(), Error> {
        sqlx::query("delete from process where owner = $1")
            .bind(owner.0)
            .execute(self.0.pool())
            .await?;
        Ok(())
    }
}
