//! Calls that this process has begun and not settled: one item at a time makes a call, and whatever becomes of that item, the
//! call is settled.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use latentd_store::leases::Owner;

use crate::{app::Shared, jobs::runner::persist};

/// The calls of this process, by hash; clones share them.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<HashSet<String>>>);

impl Calls {
    /// Takes a call; `None` while another item of this process has it.
    pub(super) fn take(&self, app: &Shared, process: Owner, hash: &str) -> Option<UnderWay> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.insert(hash.to_owned()).then(|| UnderWay {
            app: Arc::clone(app),
            process,
            hash: hash.to_owned(),
            calls: self.clone(),
            settled: false,
        })
    }

    fn end(&self, hash: &str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.remove(hash);
    }
}

/// A call that one item has. Dropped before it is settled, because its item was stopped or panicked or the database refused to
/// write, it is given back, so that it may be begun again, here or elsewhere.
pub(super) struct UnderWay {
    app: Shared,
    process: Owner,
    hash: String,
    calls: Calls,
    settled: bool,
}

impl UnderWay {
    /// The database knows what became of the call, or that it is not this process's.
    pub(super) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.settled {
            return self.calls.end(&self.hash);
        }
        let (app, process) = (Arc::clone(&self.app), self.process);
        let (calls, hash) = (self.calls.clone(), self.hash.clone());
        self.app.life.spawn(async move {
            let exchanges = app.store.exchanges();
            if let Err(halt) = persist(&app, || exchanges.give_back(&hash, process)).await {
                // Others may begin it again once this process is dead.
                tracing::debug!(%halt, "a call that was dropped is taken to be under way");
            }
            calls.end(&hash);
        });
    }
}
