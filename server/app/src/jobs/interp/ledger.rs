//! What a job has spent, and whether it may spend more: what the database says of all processes, and what this one did since.

use std::sync::{Mutex, PoisonError};

use latentd_domain::autointerp::{Budget, Usage};
use latentd_store::interp::Spent;

/// The books of one job in this process.
#[derive(Debug)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    budget: Budget,
    /// Of all processes, when it was last asked for.
    stored: Spent,
    /// Of this process, since then.
    since: Spent,
    /// Calls that are under way.
    under_way: u64,
}

impl Ledger {
    /// Books with nothing in them.
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            state: Mutex::new(State {
                budget,
                ..State::default()
            }),
        }
    }

    /// Room for one call, given back when it is dropped.
    ///
    /// Calls under way count as calls, so that a budget of calls is held exactly; what they cost is not known before they end.
    pub(super) fn reserve(&self) -> Room<'_> {
        let mut state = self.lock();
        let spent = |of: fn(&Spent) -> u64| of(&state.stored) + of(&state.since);
        let calls = spent(|spent| spent.calls);
        let tokens = spent(|spent| spent.prompt_tokens + spent.completion_tokens);
        let micros = state.stored.micros + state.since.micros;
        let within = state.budget.calls.is_none_or(|most| calls < most)
            && state.budget.tokens.is_none_or(|most| tokens < most)
            && state.budget.micros.is_none_or(|most| micros < most);
        if !within {
            return Room::Spent;
        }
        let most = state.budget.calls;
        if most.is_some_and(|most| calls + state.under_way >= most) {
            return Room::Taken;
        }
        state.under_way += 1;
        drop(state);
        Room::Reserved(Reserved(self))
    }

    /// Writes down a call, once it is in the database.
    pub(super) fn spent(&self, usage: Usage, micros: i64) {
        let mut state = self.lock();
        state.since.calls += 1;
        state.since.prompt_tokens += usage.prompt_tokens;
        state.since.completion_tokens += usage.completion_tokens;
        state.since.micros += micros;
    }

    /// The budget that it goes by.
    pub(super) fn budget(&self) -> Budget {
        self.lock().budget
    }

    /// What this process wrote down since the database was last asked: to be handed to [`Ledger::refresh`].
    pub(super) fn mark(&self) -> Spent {
        self.lock().since
    }

    /// Takes over what the database said after `mark` was taken. What was written down in between may count twice until the next
    /// time, and nothing is left out.
    pub(super) fn refresh(&self, mark: Spent, budget: Budget, stored: Spent) {
        let mut state = self.lock();
        state.budget = budget;
        state.stored = stored;
        let since = &mut state.since;
        since.calls -= mark.calls.min(since.calls);
        since.prompt_tokens -= mark.prompt_tokens.min(since.prompt_tokens);
        since.completion_tokens -= mark.completion_tokens.min(since.completion_tokens);
        since.micros -= mark.micros;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call may be made.
#[derive(Debug)]
pub(super) enum Room<'a> {
    /// It may.
    Reserved(Reserved<'a>),
    /// Not now: calls under way may take all that is left, or give some back.
    Taken,
    /// The budget is spent.
    Spent,
}

/// Room for one call.
#[derive(Debug)]
pub(super) struct Reserved<'a>(&'a Ledger);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(most: u64) -> Budget {
        Budget {
            calls: Some(most),
            ..Budget::default()
        }
    }

    #[test]
    fn a_budget_of_calls_is_held_exactly() {
        let ledger = Ledger::new(calls(2));
        let first = ledger.reserve();
        let second = ledger.reserve();
        assert!(matches!(ledger.reserve(), Room::Taken), "two are under way");
        drop(first);
        ledger.spent(Usage::default(), 0);
        assert!(matches!(ledger.reserve(), Room::Taken), "one was made");
        drop(second);
        let third = ledger.reserve();
        assert!(matches!(third, Room::Reserved(_)), "the second failed");
        ledger.spent(Usage::default(), 0);
        drop(third);
        assert!(matches!(ledger.reserve(), Room::Spent));
    }

    #[test]
    fn tokens_and_money_end_it_once_they_are_spent() {
        let ledger = Ledger::new(Budget {
            micros: Some(10),
            ..Budget::default()
        });
        ledger.spent(Usage::default(), 9);
        assert!(matches!(ledger.reserve(), Room::Reserved(_)));
        ledger.spent(Usage::default(), 1);
        assert!(matches!(ledger.reserve(), Room::Spent));
        ledger.refresh(ledger.mark(), Budget::default(), Spent::default());
        assert!(matches!(ledger.reserve(), Room::Reserved(_)), "lifted");
    }
}
