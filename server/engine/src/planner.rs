//! Decides which waiting works run next. Pure: what waits, the budget and the time come in; the fate of each work goes out.
//!
//! The rules, in order:
//! 1. Abandoned and expired works are dropped, never computed.
//! 2. The interactive lane goes before bulk, but after [`Budget::interactive_run`] interactive batches with bulk work
//!    waiting, one bulk work has its turn.
//! 3. The oldest work of the lane is always in the batch, so nothing starves; it alone may be over the token budget.
//! 4. A bulk work shares with nothing: what a job writes does not depend on who else calls.
//! 5. An interactive work is joined, oldest first, by those that need the same model to the same depth. Works of another
//!    depth would make somebody's tokens go deeper than they need; they join only while the pass stays below
//!    [`Budget::mixed_depth_tokens`], where reading the weights costs more than the tokens do.
//! 6. A longer batch pauses between blocks and passes, and light interactive works go first there ([`plan_light`]).
//! 7. Sequences that go on are let in beside any batch, interactive ones first and older ones before younger ones, until one
//!    does not fit into the [`Room`] that is left; while they run, bulk batches wait for their turn.

use std::time::Instant;

use crate::work::Lane;

/// Works that may share a forward pass have equal models; those that stop at the same block have equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PassKey {
    /// The resident model, by its serial number.
    pub(crate) model: u64,
    /// The deepest block that is needed.
    pub(crate) depth: usize,
}

/// What the planner knows of a waiting work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Its lane.
    pub(crate) lane: Lane,
    /// The pass that it can share; `None` if it shares with nothing.
    pub(crate) pass: Option<PassKey>,
    /// Tokens that it computes.
    pub(crate) tokens: usize,
    /// When its answer is of no more use.
    pub(crate) deadline: Option<Instant>,
    /// Nobody waits for its answer.
    pub(crate) abandoned: bool,
    /// Bytes that it keeps on the device while it goes on step by step; `None` if a batch is all that it needs.
    pub(crate) keeps: Option<u64>,
}

/// Room for sequences that go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Nothing runs: then the first is let in however large it is.
    pub(crate) idle: bool,
}

/// What a plan depends on beside the works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The time.
    pub(crate) now: Instant,
    /// [`Plan::streak`] of the plan before, at first 0.
    pub(crate) streak: u32,
    /// Whether a bulk batch may run.
    pub(crate) bulk: bool,
    /// Room for sequences that go on.
    pub(crate) room: Room,
}

/// Limits of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Tokens of a batch, unless one work alone has more.
    pub(crate) tokens: usize,
    /// Tokens up to which works of different depths share a pass.
    pub(crate) mixed_depth_tokens: usize,
    /// Interactive batches in a row while bulk work waits.
    pub(crate) interactive_run: u32,
    /// Tokens of what is light: such a work, or so many of them, may go first at a pause of a longer batch.
    pub(crate) light_tokens: usize,
}

/// What becomes of a waiting work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on waiting.
    Wait,
    /// It is in the batch.
    Join,
    /// Its deadline has passed.
    Expired,
    /// Nobody waits for its answer.
    Abandoned,
}

/// The planner's answer.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// One fate for each candidate, in their order.
    pub(crate) fates: Vec<Fate>,
    /// Interactive batches in a row, with bulk work waiting, once this batch has run: the next call's `streak`.
    pub(crate) streak: u32,
    /// Lane of the batch, if there is one.
    pub(crate) lane: Option<Lane>,
}

/// Plans one batch. `waiting` is in order of arrival.
pub(crate) fn plan(waiting: &[Candidate], budget: &Budget, moment: Moment) -> Plan {
    let Moment {
        now,
        streak,
        bulk,
        room,
    } = moment;
    let mut fates: Vec<Fate> = waiting
        .iter()
        .map(|candidate| fate_alone(candidate, now))
        .collect();
    let waits = |lane| {
        let mut both = waiting.iter().zip(&fates);
        both.any(|(candidate, &fate)| is_next(candidate, fate, lane))
    };
    let (lane, streak) = match (waits(Lane::Interactive), bulk && waits(Lane::Bulk)) {
        (true, true) if streak < budget.interactive_run => (Some(Lane::Interactive), streak + 1),
        (true, false) => (Some(Lane::Interactive), 0),
        (_, true) => (Some(Lane::Bulk), 0),
        (false, false) => (None, 0),
    };
    if let Some(lane) = lane {
        join(waiting, &mut fates, budget, lane);
    }
    let_in(waiting, &mut fates, room);
    Plan {
        fates,
        streak,
        lane,
    }
}

/// Plans what goes first at a pause of a longer batch: light interactive works that share a pass, oldest first. All others
/// wait.
pub(crate) fn plan_light(waiting: &[Candidate], budget: &Budget, now: Instant) -> Vec<Fate> {
    let light = |candidate: &Candidate| {
        candidate.is_light(budget.light_tokens) && fate_alone(candidate, now) == Fate::Wait
    };
    let mut fates = vec![Fate::Wait; waiting.len()];
    let Some(key) = waiting.iter().find(|c| light(c)).and_then(|c| c.pass) else {
        return fates;
    };
    let mut tokens = 0;
    for (candidate, fate) in waiting.iter().zip(&mut fates) {
        if !light(candidate) || candidate.pass != Some(key) {
            continue;
        }
        tokens += candidate.tokens;
        if tokens > budget.light_tokens {
            break;
        }
        *fate = Fate::Join;
    }
    fates
}

/// How long an interactive work would wait for the batches before it, at `seconds` a token. Light works do not wait for
/// those that are not.
pub(crate) fn wait(waiting: &[Candidate], budget: &Budget, tokens: usize, seconds: f64) -> f64 {
    let light = tokens <= budget.light_tokens;
    let before = waiting.iter().filter(|candidate| {
        candidate.lane == Lane::Interactive
            && candidate.pass.is_some()
            && !candidate.abandoned
            && (!light || candidate.is_light(budget.light_tokens))
    });
    before.map(|candidate| candidate.tokens as f64).sum::<f64>() * seconds
}

impl Candidate {
    /// Whether it may go first at a pause of a longer batch.
    fn is_light(&self, tokens: usize) -> bool {
        self.lane == Lane::Interactive
            && self.pass.is_some()
            && self.keeps.is_none()
            && self.tokens <= tokens
    }
}

/// Whether a work waits for a batch of this lane.
fn is_next(candidate: &Candidate, fate: Fate, lane: Lane) -> bool {
    fate == Fate::Wait && candidate.lane == lane && candidate.keeps.is_none()
}

/// Fills a batch of this lane.
fn join(waiting: &[Candidate], fates: &mut [Fate], budget: &Budget, lane: Lane) {
    let mut oldest = waiting.iter().zip(&mut *fates);
    let head = oldest.find(|(candidate, fate)| is_next(candidate, **fate, lane));
    if let Some((head, fate)) = head {
        *fate = Fate::Join;
        let mut tokens = head.tokens;
        if let (Lane::Interactive, Some(key)) = (lane, head.pass) {
            fill(waiting, fates, (&mut tokens, budget.tokens), |other| {
                other == key
            });
            let mixed = budget.mixed_depth_tokens.min(budget.tokens);
            fill(waiting, fates, (&mut tokens, mixed), |other| {
                other.model == key.model
            });
        }
    }
}

/// Lets sequences in that go on, until one does not fit: a later, smaller one must not overtake it.
fn let_in(waiting: &[Candidate], fates: &mut [Fate], room: Room) {
    let Room {
        bytes: mut left,
        mut idle,
    } = room;
    for lane in [Lane::Interactive, Lane::Bulk] {
        for (candidate, fate) in waiting.iter().zip(&mut *fates) {
            let Some(keeps) = candidate.keeps else {
                continue;
            };
            if *fate != Fate::Wait || candidate.lane != lane {
                continue;
            }
            if keeps > left && !idle {
                return;
            }
            *fate = Fate::Join;
            left = left.saturating_sub(keeps);
            idle = false;
        }
    }
}

/// What becomes of a work whatever else waits.
fn fate_alone(candidate: &Candidate, now: Instant) -> Fate {
    if candidate.abandoned {
        Fate::Abandoned
    } else if candidate.deadline.is_some_and(|deadline| deadline <= now) {
        Fate::Expired
    } else {
        Fate::Wait
    }
}

/// Lets interactive works with a wanted key join, oldest first, until one does not fit: a younger, smaller one must not
/// overtake it.
fn fill(
    waiting: &[Candidate],
    fates: &mut [Fate],
    (tokens, limit): (&mut usize, usize),
    wanted: impl Fn(PassKey) -> bool,
) {
    for (candidate, fate) in waiting.iter().zip(fates) {
        let eligible = is_next(candidate, *fate, Lane::Interactive);
        if !eligible || !candidate.pass.is_some_and(&wanted) {
            continue;
        }
        let with = tokens.saturating_add(candidate.tokens);
        if with > limit {
            return;
        }
        *fate = Fate::Join;
        *tokens = with;
    }
}

#[cfg(test)]
mod tests;
