//! A bucket of tokens that refills: what a minute allows. It may be in debt, because what a call takes is known only afterwards,
//! and its rate may change while somebody waits, because other servers come and go. (governor can do neither.)

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// What a minute allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    /// Refill, for each second.
    per_second: f64,
    /// What may be taken at once.
    burst: f64,
}

impl Rate {
    /// `limit` a minute, in steps of at least `step`: no minute, wherever it begins, sees more. `None` for no limit.
    pub(super) fn a_minute(limit: f64, step: f64) -> Option<Self> {
        if limit <= 0.0 {
            return None;
        }
        let burst = (limit / 60.0).max(step);
        Some(Self {
            per_second: (limit - burst + step).max(limit / 10.0) / 60.0,
            burst,
        })
    }
}

#[derive(Debug)]
struct Level {
    rate: Option<Rate>,
    /// Below 0 where something is owed.
    tokens: f64,
    at: Instant,
}

impl Level {
    fn refill(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            let seconds = now.duration_since(self.at).as_secs_f64();
            self.tokens = (self.tokens + seconds * rate.per_second).min(rate.burst);
        }
        self.at = now;
    }

    /// Takes `amount`, or says how long to wait. More than a burst is taken from a full bucket, and is owed then.
    fn take(&mut self, amount: f64, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        let Some(rate) = self.rate else {
            return Ok(());
        };
        let missing = amount.min(rate.burst) - self.tokens;
        // Less than this is the rounding of a wait that was long enough.
        if missing > 1e-6 {
            return Err(Duration::from_secs_f64(missing / rate.per_second));
        }
        self.tokens -= amount;
        Ok(())
    }
}

/// The bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    level: Mutex<Level>,
    /// Held by who waits: first come, first served.
    turn: tokio::sync::Mutex<()>,
    changed: Notify,
}

impl Bucket {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self {
            level: Mutex::new(Level {
                rate,
                tokens: rate.map_or(0.0, |rate| rate.burst),
                at: Instant::now(),
            }),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn level(&self) -> MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another rate from now on.
    pub(super) fn set(&self, rate: Option<Rate>) {
        let mut level = self.level();
        if level.rate == rate {
            return;
        }
        level.refill(Instant::now());
        level.tokens = match (level.rate, rate) {
            (Some(_), Some(rate)) => level.tokens.min(rate.burst),
            (None, Some(rate)) => rate.burst,
            (_, None) => 0.0,
        };
        level.rate = rate;
        drop(level);
        self.changed.notify_one();
    }

    /// Waits until `amount` may be taken, and takes it.
    pub(super) async fn take(&self, amount: f64) {
        let _turn = self.turn.lock().await;
        loop {
            let taken = self.level().take(amount, Instant::now());
            let Err(wait) = taken else { return };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Takes `amount` now, and owes it if need be; a negative amount is given back.
    pub(super) fn owe(&self, amount: f64) {
        let mut level = self.level();
        level.refill(Instant::now());
        level.tokens -= amount;
        if let Some(rate) = level.rate {
            level.tokens = level.tokens.min(rate.burst);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// When each of `calls` went through.
    async fn times(limit: f64, calls: usize) -> Vec<f64> {
        let bucket = Bucket::new(Rate::a_minute(limit, 1.0));
        let began = Instant::now();
        let mut times = Vec::new();
        for _ in 0..calls {
            bucket.take(1.0).await;
            times.push(began.elapsed().as_secs_f64());
        }
        times
    }

    fn paused<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(future)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_minute_sees_more_than_its_limit(limit in 1u32..400) {
            let calls = limit as usize * 3;
            let times = paused(times(f64::from(limit), calls));
            for (first, &begin) in times.iter().enumerate() {
                // A hundredth of a second is for the resolution of the timer.
                let within = times[first..].iter().filter(|&&time| time < begin + 59.99).count();
                prop_assert!(within <= limit as usize, "{within} from {begin}");
            }
            // And the limit is used: three minutes' calls take three minutes at most, and a little.
            prop_assert!(*times.last().unwrap() <= 190.0, "{}", times.last().unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_is_waited_for() {
        let bucket = Bucket::new(Rate::a_minute(6000.0, 1.0));
        bucket.take(5000.0).await;
        let began = Instant::now();
        bucket.take(1.0).await;
        let took = began.elapsed().as_secs_f64();
        assert!((48.0..53.0).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_reaches_who_waits() {
        let bucket = Bucket::new(Rate::a_minute(1.0, 1.0));
        bucket.take(1.0).await;
        let began = Instant::now();
        tokio::join!(bucket.take(1.0), async {
            sleep(Duration::from_secs(1)).await;
            bucket.set(None);
        });
        assert_eq!(began.elapsed().as_secs(), 1);
    }
}
