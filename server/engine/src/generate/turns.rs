//! Whose turn it is on the device: steps of generation, or batches of other works. Pure.
//!
//! The rules:
//! 1. A batch and a step alternate where both are interactive.
//! 2. Interactive work goes before bulk work of the other kind, but after [`Turns::RUN`] in a row that has its turn.
//! 3. Bulk batches and bulk steps share the device's time by halves: a batch may take a hundred times as long as a step.

use std::time::Duration;

use crate::Lane;

/// What has run since the other kind had its turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Steps since a bulk batch.
    steps: u32,
    /// Time of these steps, and of bulk batches that they have not made up for yet.
    steps_took: Duration,
    batches_took: Duration,
    /// Interactive batches since a step.
    batches: u32,
}

impl Turns {
    /// Turns in a row of interactive work while bulk work of the other kind waits.
    pub(crate) const RUN: u32 = 8;

    /// Whether a bulk batch may run now, beside sequences of this lane.
    pub(crate) fn bulk_may_run(&self, sequences: Option<Lane>) -> bool {
        match sequences {
            None => true,
            Some(Lane::Interactive) => self.steps >= Self::RUN,
            Some(Lane::Bulk) => self.steps_took >= self.batches_took,
        }
    }

    /// Whether sequences of this lane may have a step, after a batch of lane `batch` if there was one.
    pub(crate) fn may_step(&self, sequences: Lane, batch: Option<Lane>) -> bool {
        match (sequences, batch) {
            (Lane::Bulk, Some(Lane::Interactive)) => self.batches >= Self::RUN,
            (Lane::Bulk | Lane::Interactive, _) => true,
        }
    }

    /// A batch has run.
    pub(crate) fn batch(&mut self, lane: Lane, took: Duration) {
        match lane {
            Lane::Interactive => self.batches += 1,
            Lane::Bulk => {
                self.steps = 0;
                // What steps had over is not saved up: bulk batches may have had nothing to do for hours.
                self.steps_took = Duration::ZERO;
                self.batches_took = took;
            }
        }
    }

    /// A step has run.
    pub(crate) fn step(&mut self, took: Duration) {
        self.batches = 0;
        self.steps = self.steps.saturating_add(1);
        self.steps_took += took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_millis(100);

    #[test]
    fn alone_everything_runs() {
        let turns = Turns::default();
        assert!(turns.bulk_may_run(None));
        assert!(turns.may_step(Lane::Bulk, None) && turns.may_step(Lane::Interactive, None));
    }

    #[test]
    fn interactive_works_alternate() {
        let mut turns = Turns::default();
        for _ in 0..20 {
            turns.batch(Lane::Interactive, LONG);
            assert!(turns.may_step(Lane::Interactive, Some(Lane::Interactive)));
            turns.step(SHORT);
        }
    }

    #[test]
    fn bulk_waits_for_interactive_work_and_has_its_turn() {
        let mut turns = Turns::default();
        turns.batch(Lane::Bulk, LONG);
        for _ in 0..Turns::RUN {
            assert!(!turns.bulk_may_run(Some(Lane::Interactive)));
            turns.step(SHORT);
        }
        assert!(turns.bulk_may_run(Some(Lane::Interactive)));
        for _ in 0..Turns::RUN {
            assert!(!turns.may_step(Lane::Bulk, Some(Lane::Interactive)));
            turns.batch(Lane::Interactive, SHORT);
        }
        assert!(turns.may_step(Lane::Bulk, Some(Lane::Interactive)));
        turns.step(SHORT);
        assert!(!turns.may_step(Lane::Bulk, Some(Lane::Interactive)));
        assert!(turns.may_step(Lane::Bulk, None));
    }

    #[test]
    fn bulk_works_share_by_time() {
        let mut turns = Turns::default();
        assert!(turns.bulk_may_run(Some(Lane::Bulk)));
        turns.batch(Lane::Bulk, LONG);
        for _ in 0..5 {
            assert!(!turns.bulk_may_run(Some(Lane::Bulk)));
            assert!(turns.may_step(Lane::Bulk, Some(Lane::Bulk)));
            turns.step(SHORT);
        }
        assert!(turns.bulk_may_run(Some(Lane::Bulk)));
    }
}
