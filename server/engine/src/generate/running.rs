//! The sequences that run and the works that they belong to: who is let in, who is done, who has left.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use latentd_nn::Past;
use tracing::Span;

use super::{
    Continue, Finish, past_bytes,
    pool::Pool,
    task::{Done, Progress},
};
use crate::{
    Cost, Error, Lane,
    catalog::{Catalog, ModelEntry},
    compute::ResidentModel,
    cost::millis,
    planner::Room,
    work::{Reply, Request, Work},
};

/// Most sequences that run at once: with these a step is bound by multiplications, and more would only make each slower.
const MOST_SEQUENCES: usize = 32;

/// A work whose sequences run or wait to.
pub(super) struct Member {
    pub(super) lane: Lane,
    pub(super) model: Arc<ModelEntry>,
    pub(super) resident: Arc<dyn ResidentModel>,
    pub(super) cost: Cost,
    deadline: Option<Instant>,
    span: Span,
    reply: Reply<(Vec<Done>, Cost)>,
    /// One for each sequence, once it has ended.
    done: Vec<Option<Done>>,
}

/// A sequence that runs.
pub(super) struct Active {
    /// Its number: sequences that started later have higher ones.
    pub(super) serial: u64,
    /// Number of its work.
    pub(super) owner: u64,
    /// Which of the work's sequences it is.
    index: usize,
    pub(super) progress: Progress,
    pub(super) past: Past,
    /// It has looked for a past to begin like.
    pub(super) begun: bool,
    bytes: u64,
}

/// All works that have begun, in the order in which they did.
pub(crate) struct Running {
    pub(super) members: BTreeMap<u64, Member>,
    /// Sequences that wait for room: number of the work, and which of its sequences.
    backlog: VecDeque<(u64, usize, Progress)>,
    pub(super) active: Vec<Active>,
    pub(super) pool: Pool,
    /// Model of the last step.
    pub(super) last_model: u64,
    /// The next number, of a work or a sequence.
    next: u64,
    limit: u64,
}

impl Running {
    /// Nothing; pasts may take `limit` bytes, unless one alone takes more.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            members: BTreeMap::new(),
            backlog: VecDeque::new(),
            active: Vec::new(),
            pool: Pool::default(),
            last_model: 0,
            next: 0,
            limit,
        }
    }

    /// The first lane that anything which runs is on; `None` if nothing runs.
    pub(crate) fn lane(&self) -> Option<Lane> {
        let lanes = || self.members.values().map(|member| member.lane);
        if lanes().any(|lane| lane == Lane::Interactive) {
            Some(Lane::Interactive)
        } else {
            lanes().next()
        }
    }

    /// What may be let in.
    pub(crate) fn room(&self) -> Room {
        let full = !self.backlog.is_empty() || self.active.len() >= MOST_SEQUENCES;
        Room {
            bytes: if full {
                0
            } else {
                self.limit.saturating_sub(self.bytes())
            },
            idle: self.members.is_empty(),
        }
    }

    fn bytes(&self) -> u64 {
        self.active.iter().map(|active| active.bytes).sum()
    }

    /// Lets a work in. Any other than one of sequences that go on comes back.
    pub(crate) fn admit(&mut self, work: Work) -> Option<Work> {
        let Work {
            lane,
            deadline,
            queued_at,
            span,
            request: Request::Continue(request),
            ..
        } = work
        else {
            return Some(work);
        };
        let Continue {
            model,
            resident,
            tasks,
            reply,
        } = request;
        let owner = self.next;
        self.next += 1;
        let cost = Cost {
            queue: Instant::now().saturating_duration_since(queued_at),
            ..Cost::default()
        };
        let member = Member {
            lane,
            model,
            resident,
            cost,
            deadline,
            span,
            reply,
            done: tasks.iter().map(|_| None).collect(),
        };
        self.members.insert(owner, member);
        let waiting = tasks.into_iter().enumerate();
        self.backlog
            .extend(waiting.map(|(index, task)| (owner, index, Progress::new(task))));
        None
    }

    /// Drops works that nobody waits for, and those whose deadline has passed.
    pub(crate) fn drop_late(&mut self, now: Instant) {
        let late = |member: &Member| {
            member.reply.is_closed() || member.deadline.is_some_and(|deadline| deadline <= now)
        };
        let late: Vec<u64> = self
            .members
            .iter()
            .filter(|(_, member)| late(member))
            .map(|(&owner, _)| owner)
            .collect();
        for owner in late {
            self.fail(owner, Error::DeadlineExceeded);
        }
    }

    /// Forgets what was kept of models that are not resident any more.
    pub(crate) fn forget_unloaded(&mut self, catalog: &Catalog) {
        let resident = |serial| catalog.models.values().any(|entry| entry.serial == serial);
        self.pool.retain_models(resident);
    }

    /// Refuses all works.
    pub(crate) fn refuse(&mut self, error: impl Fn() -> Error) {
        while let Some(&owner) = self.members.keys().next() {
            self.fail(owner, error());
        }
    }

    /// Answers a work with an error. A caller that has left is no one's concern.
    pub(super) fn fail(&mut self, owner: u64, error: Error) {
        self.active.retain(|active| active.owner != owner);
        self.backlog.retain(|(of, ..)| *of != owner);
        if let Some(member) = self.members.remove(&owner) {
            drop(member.reply.send(Err(error)));
        }
    }

    /// Starts sequences that wait, those of interactive works first, as far as there is room.
    pub(super) fn start(&mut self) {
        while self.active.len() < MOST_SEQUENCES {
            let lane = |owner: &u64| self.members.get(owner).map(|member| member.lane);
            let interactive =
                |(owner, ..): &(u64, usize, Progress)| lane(owner) == Some(Lane::Interactive);
            let place = self.backlog.iter().position(interactive).unwrap_or(0);
            let Some((owner, index, progress)) = self.backlog.remove(place) else {
                break;
            };
            let Some(member) = self.members.get(&owner) else {
                continue;
            };
            let capacity = progress.task().capacity();
            let bytes = past_bytes(&member.model, capacity);
            let used = self.bytes();
            if used.saturating_add(bytes) > self.limit && !self.active.is_empty() {
                self.backlog.insert(place, (owner, index, progress));
                break;
            }
            self.pool
                .shrink_to(self.limit.saturating_sub(used.saturating_add(bytes)));
            let past = member.resident.past(capacity);
            self.active.push(Active {
                serial: self.next,
                owner,
                index,
                progress,
                past,
                begun: false,
                bytes,
            });
            self.next += 1;
        }
    }

    /// A sequence has ended; the work is answered if it was the last of it.
    pub(super) fn finish(&mut self, active: usize, finish: Finish) {
        let Active {
            owner,
            index,
            progress,
            past,
            ..
        } = self.active.remove(active);
        let Some(member) = self.members.get_mut(&owner) else {
            return;
        };
        let bytes = past_bytes(&member.model, past.length());
        self.pool.keep(member.model.serial, bytes, past);
        member.cost.tokens += progress.tokens();
        if let Some(done) = member.done.get_mut(index) {
            *done = Some(progress.done(finish));
        }
        if member.done.iter().any(Option::is_none) {
            return;
        }
        if let Some(Member {
            reply,
            done,
            cost,
            span,
            ..
        }) = self.members.remove(&owner)
        {
            tracing::debug!(parent: &span, sequences = done.len(), tokens = cost.tokens, compute_ms = millis(cost.compute), "sequences ended");
            let done = done.into_iter().flatten().collect();
            drop(reply.send(Ok((done, cost))));
        }
        self.pool.shrink_to(self.limit.saturating_sub(self.bytes()));
    }
}
