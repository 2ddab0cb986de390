//! The clock of leases: SQL function `lease_now()`.
//!
//! Every server moves it on by the time that passed on its own monotonic clock since it last looked. If several do, the one that
//! is ahead counts, so the clock is never faster than time; it is slower while nobody moves it. So neither a clock that is set,
//! of a server or of the database, nor an outage ends a lease that its holder would have renewed, and a lease whose holder is
//! gone ends once other servers have lived for its length.

use std::time::{Duration, Instant};

use sqlx::Row;
use time::OffsetDateTime;

use crate::{Error, Store};

/// Time between two moves.
const TICK: Duration = Duration::from_secs(1);
/// Most that the clock moves on at once. What passed beyond that is an outage, or this process stood still: nobody knows
/// whether leases could be renewed meanwhile.
const MOST: Duration = Duration::from_secs(3);

/// What a server saw when it last moved the clock on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LeaseClock {
    seen: Option<(Instant, OffsetDateTime)>,
}

impl Store {
    /// Moves the clock of leases on for as long as the store is open. Spawn it once.
    pub async fn keep_time(self) {
        let mut clock = LeaseClock::default();
        loop {
            if let Err(error) = self.tick(&mut clock, Instant::now).await {
                tracing::debug!(%error, "the clock of leases was not moved on");
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Moves the clock on by what passed since the last call with this `clock`.
    pub(crate) async fn tick(
        &self,
        clock: &mut LeaseClock,
        now: impl Fn() -> Instant,
    ) -> Result<(), Error> {
        let (seen, passed) = match clock.seen {
            Some((when, seen)) => (Some(seen), now().saturating_duration_since(when).min(MOST)),
            None => (None, Duration::ZERO),
        };
        let row = sqlx::query(
            "with s as (select set_config('synchronous_commit', 'off', true))
             update lease_clock set shows = greatest(shows, $1 + make_interval(secs => $2)) from s returning shows",
        )
        .bind(seen)
        .bind(passed.as_secs_f64())
        .fetch_one(self.pool())
        .await?;
        // After the answer: another server may have moved the clock on while it was on its way, and no time counts twice.
        clock.seen = Some((now(), row.try_get("shows")?));
        Ok(())
    }
}
