//! How many bytes all calls together may hold: requests that are being received, replies that are not taken yet, and what
//! streams read ahead. Each has a share of its own, so that none waits for another.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{error::Elapsed, timeout},
};

/// Messages up to this size are not counted: HTTP/2's windows bound them.
pub(crate) const SMALL: usize = 64 << 10;

/// Room that is taken; dropping it gives it back.
pub(crate) type Room = OwnedSemaphorePermit;

/// A wait for room; `None` is for a share that is closed, which none is.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Result<Option<Room>, Elapsed>> + Send>>;

/// Bytes that are left of one share.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    left: Arc<Semaphore>,
    size: usize,
}

impl Share {
    fn of(bytes: u64) -> Self {
        let size = usize::try_from(bytes).map_or(MOST, |bytes| bytes.min(MOST));
        Self {
            left: Arc::new(Semaphore::new(size)),
            size,
        }
    }

    /// Waits for `bytes`. What is larger than the share takes the whole of it.
    async fn take(self, bytes: usize) -> Option<Room> {
        let count = self.count(bytes);
        self.left.acquire_many_owned(count).await.ok()
    }

    /// [`Share::take`], given up after `patience`.
    pub(crate) fn take_within(&self, bytes: usize, patience: Duration) -> Waiting {
        Box::pin(timeout(patience, self.clone().take(bytes)))
    }

    /// Takes `bytes` if they are there now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Room> {
        let count = self.count(bytes);
        Arc::clone(&self.left).try_acquire_many_owned(count).ok()
    }

    fn count(&self, bytes: usize) -> u32 {
        bytes.min(self.size) as u32
    }
}

/// Largest share: a semaphore counts to here on every machine.
const MOST: usize = u32::MAX as usize >> 3;

/// The shares.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    /// Requests that are being received.
    pub(crate) requests: Share,
    /// Replies that wait to be sent.
    pub(crate) replies: Share,
    /// What streams read ahead of their clients.
    pub(crate) ahead: Share,
}

impl Buffers {
    /// Divides `bytes`: half for requests, a quarter each for replies and for what is read ahead.
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            requests: Share::of(bytes / 2),
            replies: Share::of(bytes / 4),
            ahead: Share::of(bytes / 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_given_back() {
        let share = Buffers::new(400).ahead;
        let first = share.try_take(60).unwrap();
        assert!(share.try_take(60).is_none());
        drop(first);
        // More than there is at all takes everything.
        let all = share.clone().take(1000).await.unwrap();
        assert!(share.try_take(1).is_none());
        drop(all);
        assert!(share.try_take(100).is_some());
    }
}
