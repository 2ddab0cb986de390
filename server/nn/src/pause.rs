//! Points at which a long computation lets a short one go first.
//!
//! A pass over many tokens takes long, and what somebody waits for should not stand behind it. Whoever runs the pass says
//! ([`within`]) what may happen at the points that lie between its blocks; the pass itself knows nothing of it, and its
//! numbers are the same whether it is interrupted or not. What is computed at a point has no points of its own.

use std::{cell::RefCell, rc::Rc};

/// What happens at a point.
pub type Pause = Rc<dyn Fn()>;

thread_local! {
    static PAUSE: RefCell<Option<Pause>> = const { RefCell::new(None) };
}

/// Puts a value back, also if there is a panic.
struct Restore(Option<Pause>);

impl Drop for Restore {
    fn drop(&mut self) {
        PAUSE.set(self.0.take());
    }
}

/// Does `work` with `pause` at each of its points. It must stay on this thread, but for what it spreads over others and
/// waits for.
pub fn within<R>(pause: Pause, work: impl FnOnce() -> R) -> R {
    let _before = Restore(PAUSE.replace(Some(pause)));
    work()
}

/// A point: nothing, unless somebody asked for pauses.
pub fn point() {
    if let Some(pause) = PAUSE.take() {
        let again = Restore(Some(pause));
        if let Some(pause) = &again.0 {
            pause();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use super::*;

    #[test]
    fn what_happens_at_a_point_has_no_points() {
        let count = Rc::new(Cell::new(0));
        let counted = Rc::clone(&count);
        let pause: Pause = Rc::new(move || {
            counted.set(counted.get() + 1);
            point();
        });
        point();
        within(pause, || {
            point();
            point();
        });
        point();
        assert_eq!(count.get(), 2);
    }

    #[test]
    fn a_panic_ends_the_pauses_with_the_work() {
        let pause: Pause = Rc::new(|| panic!("on purpose"));
        let panicked = catch_unwind(AssertUnwindSafe(|| within(pause, point)));
        assert!(panicked.is_err());
        point();
    }
}
