//! The work items that tasks of this process hold: the leases that it renews, and no others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use latentd_store::work_items::WorkItem;

/// Items that are held; clones share them.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Items>>);

#[derive(Default)]
struct Items {
    next: u64,
    items: HashMap<u64, WorkItem>,
}

impl Held {
    /// Holds an item until what is returned is dropped, however its task ends.
    pub(super) fn hold(&self, item: WorkItem) -> Holding {
        let mut held = self.lock();
        let key = held.next;
        held.next += 1;
        held.items.insert(key, item);
        drop(held);
        Holding {
            held: self.clone(),
            key,
        }
    }

    /// The items that are held now.
    pub(super) fn items(&self) -> Vec<WorkItem> {
        self.lock().items.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item that is held.
pub(super) struct Holding {
    held: Held,
    key: u64,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.lock().items.remove(&self.key);
    }
}
