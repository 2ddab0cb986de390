//! The work items that tasks of this process hold: what the database takes for its work beside them is given back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use latentd_store::work_items::WorkItem;

/// Items that are held; clones share them.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    next: u64,
    items: HashMap<u64, WorkItem>,
    suspects: usize,
}

impl Held {
    /// Holds an item until what is returned is dropped, however its task ends. A suspect is one that may have killed servers.
    pub(super) fn hold(&self, item: WorkItem, suspect: bool) -> Holding {
        let mut held = self.lock();
        let key = held.next;
        held.next += 1;
        held.items.insert(key, item);
        held.suspects += usize::from(suspect);
        drop(held);
        Holding {
            held: self.clone(),
            key,
            suspect,
        }
    }

    /// Whether nothing is at work.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// Whether a suspect is at work: nothing else is to be.
    pub(super) fn has_suspects(&self) -> bool {
        self.lock().suspects > 0
    }

    /// The items that are held now.
    pub(super) fn items(&self) -> Vec<WorkItem> {
        self.lock().items.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item that is held.
pub(super) struct Holding {
    held: Held,
    key: u64,
    suspect: bool,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        held.items.remove(&self.key);
        held.suspects -= usize::from(self.suspect);
    }
}
