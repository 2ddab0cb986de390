//! Work that blocks learns here that nobody waits for it any more, or that it is too late.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Asked by work that blocks, every few milliseconds or megabytes, whether it shall go on. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    raised: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

/// Interrupts the work when it is dropped.
#[derive(Debug)]
pub struct InterruptOnDrop(Interrupt);

/// The work was interrupted before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: nobody waits for it any more, or its deadline has passed")]
pub struct Interrupted;

impl Interrupt {
    /// Nothing interrupts the work until [`Interrupt::raise`] is called.
    pub fn new() -> Self {
        Self::default()
    }

    /// The work is wanted until `deadline`, and as long as the guard is held.
    pub fn guarded(deadline: Option<Instant>) -> (Self, InterruptOnDrop) {
        let interrupt = Self {
            deadline,
            ..Self::default()
        };
        let guard = InterruptOnDrop(interrupt.clone());
        (interrupt, guard)
    }

    /// Interrupts the work.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }

    /// Whether the work shall end.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed) || self.deadline.is_some_and(|at| Instant::now() >= at)
    }

    /// Fails if the work shall end.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_raised() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_ends_when_its_caller_leaves_or_its_deadline_passes() {
        let interrupt = Interrupt::new();
        assert_eq!(interrupt.check(), Ok(()));
        interrupt.clone().raise();
        assert_eq!(interrupt.check(), Err(Interrupted));
        let (interrupt, guard) = Interrupt::guarded(None);
        assert_eq!(interrupt.check(), Ok(()));
        drop(guard);
        assert_eq!(interrupt.check(), Err(Interrupted));
        let (interrupt, _guard) = Interrupt::guarded(Some(Instant::now()));
        assert!(interrupt.is_raised());
        let later = Instant::now() + Duration::from_mins(1);
        let (interrupt, _guard) = Interrupt::guarded(Some(later));
        assert!(!interrupt.is_raised());
    }
}
