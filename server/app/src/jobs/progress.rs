//! How far a job is: counted by those who do the work, sent to the database a few times a second by [`Tracker::report`].

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use latentd_store::{Store, jobs::Progress, leases::JobLease};

use super::{Stop, Stopper};

/// Time between two reports: each is an event that every watcher receives.
const INTERVAL: Duration = Duration::from_millis(500);
/// The rate is that of the last so much time.
const WINDOW: Duration = Duration::from_secs(15);

/// Counts the work of one job; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Tracker(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    unit: &'static str,
    phase: &'static str,
    done: u64,
    total: u64,
    /// What is told beside: failures, what is left out, what it cost.
    found: Progress,
    samples: VecDeque<(Instant, u64)>,
}

impl State {
    /// Units a second over the last seconds. Work is counted in steps, so it is measured from step to step.
    fn rate(&mut self, now: Instant) -> f64 {
        if self
            .samples
            .back()
            .is_none_or(|&(_, done)| done != self.done)
        {
            self.samples.push_back((now, self.done));
        }
        while self.samples.len() > 2
            && self
                .samples
                .front()
                .is_some_and(|&(time, _)| now - time > WINDOW)
        {
            self.samples.pop_front();
        }
        let (Some(&(begin, first)), Some(&(end, last))) =
            (self.samples.front(), self.samples.back())
        else {
            return 0.0;
        };
        let seconds = (end - begin).as_secs_f64();
        if seconds > 0.0 && now - end <= WINDOW {
            last.saturating_sub(first) as f64 / seconds
        } else {
            0.0
        }
    }
}

impl Tracker {
    /// Nothing done yet; `unit` is what will be counted.
    pub(super) fn new(unit: &'static str) -> Self {
        let state = State {
            unit,
            phase: "starting",
            done: 0,
            total: 0,
            found: Progress::default(),
            samples: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Begins a phase with `done` of `total` units behind it; `total` is 0 while it is not known.
    pub(super) fn begin(&self, phase: &'static str, done: u64, total: u64) {
        self.with(|state| {
            state.phase = phase;
            (state.done, state.total) = (done, total);
            state.samples.clear();
        });
    }

    /// Sets what is told beside the units that are done: failures, what is left out, what it cost.
    pub(super) fn tell(&self, found: Progress) {
        self.with(|state| state.found = found);
    }

    /// Notes something that is not as the caller may think, once; it is told as long as the job is.
    pub(super) fn warn(&self, warning: String) {
        self.with(|state| {
            if !state.found.warnings.contains(&warning) {
                tracing::warn!("{warning}");
                state.found.warnings.push(warning);
            }
        });
    }

    /// Sets the units that are done.
    pub(super) fn set(&self, done: u64) {
        self.with(|state| state.done = done);
    }

    /// Adds units that are done.
    pub(super) fn add(&self, units: u64) {
        self.with(|state| state.done += units);
    }

    /// The progress now, with the rate over the last seconds.
    fn sample(&self, now: Instant) -> Progress {
        self.with(|state| {
            let rate = state.rate(now);
            let left = state.total.saturating_sub(state.done) as f64;
            Progress {
                phase: state.phase.to_owned(),
                unit: state.unit.to_owned(),
                done: state.done,
                total: state.total,
                rate,
                eta_seconds: (rate > 0.0 && state.total > 0).then(|| left / rate),
                ..state.found.clone()
            }
        })
    }

    /// Sends the progress to the database, forever. What was reported before a restart is not gone back on: work that is
    /// repeated counts when it gets further.
    pub(super) async fn report(
        &self,
        store: &Store,
        lease: &JobLease,
        stopper: &Stopper,
    ) -> Infallible {
        let mut last = lease.job.progress.clone();
        loop {
            let progress = self.sample(Instant::now());
            let further = progress.phase != last.phase
                || progress.done > last.done
                || progress.spent != last.spent
                || progress.warnings != last.warnings;
            if further && progress.phase != "starting" {
                match store.leases().set_progress(lease, &progress).await {
                    Ok(()) => last = progress,
                    Err(latentd_store::Error::LeaseLost { .. }) => stopper.stop(Stop::LeaseLost),
                    // Progress is no result: the next report makes up for this one.
                    Err(error) => tracing::debug!(%error, "progress was not recorded"),
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The last word, for the record of a job that ends well.
    pub(super) fn now(&self) -> Progress {
        self.sample(Instant::now())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_eta_are_those_of_the_last_seconds() {
        let tracker = Tracker::new("tokens");
        tracker.begin("encoding", 1000, 5000);
        let start = Instant::now();
        assert_eq!(tracker.sample(start).eta_seconds, None);
        tracker.add(1000);
        let progress = tracker.sample(start + Duration::from_secs(2));
        assert_eq!((progress.done, progress.rate), (2000, 500.0));
        assert_eq!(progress.eta_seconds, Some(6.0));
        let idle = tracker.sample(start + Duration::from_mins(1));
        assert_eq!((idle.rate, idle.eta_seconds), (0.0, None));
    }
}
