//! The bounded queue before the device, and the one place that says no.

use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Error, Lane,
    planner::{self, Budget, Candidate, Fate, Moment, Room},
    work::Work,
};

/// Why nothing more is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The engine was told to stop.
    ShutDown,
    /// The device thread is gone.
    Failed,
}

impl End {
    /// What callers are told.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::ShutDown => Error::ShuttingDown,
            Self::Failed => Error::EngineUnavailable,
        }
    }
}

/// What the device thread does next.
#[derive(Default)]
pub(crate) struct Batch {
    /// To be computed together, and sequences that are let in.
    pub(crate) works: Vec<Work>,
    /// Lane of what is computed together, if there is anything.
    pub(crate) lane: Option<Lane>,
    /// To be told that their deadline has passed.
    pub(crate) expired: Vec<Work>,
}

/// What the device thread is doing beside batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    /// Sequences run: do not wait for works.
    pub(crate) busy: bool,
    /// Whether a bulk batch may run.
    pub(crate) bulk: bool,
    /// Room for more sequences.
    pub(crate) room: Room,
}

/// Works that wait, in order of arrival.
pub(crate) struct Queue {
    state: Mutex<State>,
    arrival: Condvar,
    limit: usize,
    budget: Budget,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    streak: u32,
    /// Of interactive batches lately; 0 before the first.
    seconds_a_token: f64,
    end: Option<End>,
    /// What waits and what runs is refused, too.
    refusing: bool,
}

impl Queue {
    /// An empty queue that holds at most `limit` works.
    pub(crate) fn new(limit: usize, budget: Budget) -> Self {
        Self {
            state: Mutex::default(),
            arrival: Condvar::new(),
            limit,
            budget,
        }
    }

    /// Lets a work wait, or refuses it at once.
    pub(crate) fn push(&self, work: Work) -> Result<(), Error> {
        self.admit(work, self.limit)
    }

    /// Lets the loader's work wait, also in a full queue: gigabytes were read before it, and there is one at a time.
    pub(crate) fn push_of_loader(&self, work: Work) -> Result<(), Error> {
        self.admit(work, usize::MAX)
    }

    fn admit(&self, work: Work, limit: usize) -> Result<(), Error> {
        let mut state = self.lock();
        if let Some(end) = state.end {
            return Err(end.error());
        }
        if state.waiting.len() >= limit {
            return Err(Error::QueueFull { limit });
        }
        if work.lane == Lane::Interactive {
            self.in_time(&state, work.deadline, work.candidate().tokens)?;
        }
        state.waiting.push_back(work);
        drop(state);
        self.arrival.notify_one();
        Ok(())
    }

    /// Whether a work of `tokens` tokens would be let in now: for callers that have something to prepare before.
    pub(crate) fn room_for(&self, tokens: usize, deadline: Option<Instant>) -> Result<(), Error> {
        let state = self.lock();
        if let Some(end) = state.end {
            return Err(end.error());
        }
        if state.waiting.len() >= self.limit {
            return Err(Error::QueueFull { limit: self.limit });
        }
        self.in_time(&state, deadline, tokens)
    }

    /// Refuses what would wait for more than half of the time that it has: the other half is for the work itself, for
    /// works that go first, and for the way back. With nothing before it a work is always let in.
    fn in_time(
        &self,
        state: &State,
        deadline: Option<Instant>,
        tokens: usize,
    ) -> Result<(), Error> {
        let Some(deadline) = deadline else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let waiting: Vec<Candidate> = state.waiting.iter().map(Work::candidate).collect();
        let wait = planner::wait(&waiting, &self.budget, tokens, state.seconds_a_token);
        if wait <= left.as_secs_f64() / 2.0 {
            return Ok(());
        }
        Err(Error::WaitTooLong {
            wait_ms: (wait * 1e3) as u64,
            left_ms: left.as_millis() as u64,
        })
    }

    /// Tokens of what is light.
    pub(crate) fn light_tokens(&self) -> usize {
        self.budget.light_tokens
    }

    /// Takes light works that go first at a pause of a longer batch; none is the usual case.
    pub(crate) fn take_light(&self) -> Vec<Work> {
        let mut state = self.lock();
        if state.waiting.is_empty() || state.refusing {
            return Vec::new();
        }
        let candidates: Vec<Candidate> = state.waiting.iter().map(Work::candidate).collect();
        let fates = planner::plan_light(&candidates, &self.budget, Instant::now());
        if !fates.contains(&Fate::Join) {
            return Vec::new();
        }
        let mut works = Vec::new();
        let waiting = mem::take(&mut state.waiting);
        for (work, fate) in waiting.into_iter().zip(fates) {
            if fate == Fate::Join {
                works.push(work);
            } else {
                state.waiting.push_back(work);
            }
        }
        works
    }

    /// Learns from an interactive batch how long a token takes: a quarter of it is news, so that a busy moment passes.
    pub(crate) fn took(&self, tokens: usize, took: Duration) {
        let seconds = took.as_secs_f64() / tokens.max(1) as f64;
        let mut state = self.lock();
        let before = state.seconds_a_token;
        state.seconds_a_token = if before > 0.0 {
            before + (seconds - before) / 4.0
        } else {
            seconds
        };
    }

    /// Waits for work and takes a batch; `None` once the queue is closed and empty. Where sequences run it does not wait, and
    /// what it gives may be nothing.
    ///
    /// Planning happens under the lock: it looks at each waiting work once, which is microseconds at the queue's limit.
    pub(crate) fn next(&self, beside: Beside) -> Option<Batch> {
        let mut state = self.lock();
        if state.refusing {
            return None;
        }
        while state.waiting.is_empty() {
            if beside.busy {
                return Some(Batch::default());
            }
            if state.end.is_some() {
                return None;
            }
            state = self
                .arrival
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let candidates: Vec<Candidate> = state.waiting.iter().map(Work::candidate).collect();
        let moment = Moment {
            now: Instant::now(),
            streak: state.streak,
            bulk: beside.bulk,
            room: beside.room,
        };
        let plan = planner::plan(&candidates, &self.budget, moment);
        state.streak = plan.streak;
        let mut abandoned = Vec::new();
        let mut batch = Batch {
            lane: plan.lane,
            ..Batch::default()
        };
        let waiting = mem::take(&mut state.waiting);
        for (work, fate) in waiting.into_iter().zip(plan.fates) {
            match fate {
                Fate::Wait => state.waiting.push_back(work),
                Fate::Join => batch.works.push(work),
                Fate::Expired => batch.expired.push(work),
                Fate::Abandoned => abandoned.push(work),
            }
        }
        drop(state);
        // Outside the lock: dropping a work may drop the last use of a model.
        drop(abandoned);
        Some(batch)
    }

    /// Accepts nothing more; what waits is still taken. The first end stands.
    pub(crate) fn close(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.arrival.notify_all();
    }

    /// Accepts nothing more, and refuses what waits.
    pub(crate) fn close_and_refuse(&self, end: End) {
        let mut state = self.lock();
        let end = *state.end.get_or_insert(end);
        state.refusing = true;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        self.arrival.notify_all();
        for work in waiting {
            work.request.refuse(end.error());
        }
    }

    /// Why the queue is closed, if it is.
    pub(crate) fn end(&self) -> Option<End> {
        self.lock().end
    }

    /// Number of works that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is sound here: no change of the state can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
