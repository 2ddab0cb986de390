//! Pasts of sequences that have ended: prompts of a job begin alike, and what they share is not computed again.

use latentd_nn::{Past, past::common_front};

/// Shortest front that is worth a copy, and shortest past that is worth keeping.
pub(super) const WORTH: usize = 16;

/// Most pasts that are kept.
const MOST: usize = 64;

/// A past that has ended.
struct Kept {
    model: u64,
    bytes: u64,
    past: Past,
}

/// Pasts that have ended, the one that was used last at the end.
#[derive(Default)]
pub(super) struct Pool {
    kept: Vec<Kept>,
}

impl Pool {
    /// Keeps a past of a model, in place of one that it begins with.
    pub(super) fn keep(&mut self, model: u64, bytes: u64, past: Past) {
        let ids = past.ids();
        let held =
            |kept: &Kept| kept.model == model && common_front(kept.past.ids(), ids) == ids.len();
        if ids.len() < WORTH || self.kept.iter().any(held) {
            return;
        }
        self.kept.retain(|kept| {
            kept.model != model || common_front(kept.past.ids(), ids) < kept.past.length()
        });
        self.kept.push(Kept { model, bytes, past });
        if self.kept.len() > MOST {
            self.kept.remove(0);
        }
    }

    /// The past that begins most like `ids`, and how many tokens they share.
    pub(super) fn like(&mut self, model: u64, ids: &[u32]) -> Option<(&Past, usize)> {
        let shared = |kept: &Kept| {
            if kept.model == model {
                common_front(kept.past.ids(), ids)
            } else {
                0
            }
        };
        let (index, common) = self
            .kept
            .iter()
            .map(shared)
            .enumerate()
            .max_by_key(|(_, common)| *common)?;
        if common < WORTH {
            return None;
        }
        let kept = self.kept.remove(index);
        self.kept.push(kept);
        self.kept.last().map(|kept| (&kept.past, common))
    }

    /// Drops pasts, the longest unused first, until all take at most `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: u64) {
        while self.bytes() > bytes {
            self.kept.remove(0);
        }
    }

    /// Drops the pasts of models that are not resident any more.
    pub(super) fn retain_models(&mut self, resident: impl Fn(u64) -> bool) {
        self.kept.retain(|kept| resident(kept.model));
    }

    fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(ids: impl IntoIterator<Item = u32>) -> Past {
        let mut past = Past::of_ids(1000);
        past.advance(&ids.into_iter().collect::<Vec<_>>());
        past
    }

    fn like(pool: &mut Pool, model: u64, ids: impl IntoIterator<Item = u32>) -> usize {
        let ids: Vec<u32> = ids.into_iter().collect();
        pool.like(model, &ids).map_or(0, |(_, common)| common)
    }

    #[test]
    fn the_longest_common_front_is_found() {
        let mut pool = Pool::default();
        pool.keep(1, 10, past(0..40));
        pool.keep(1, 10, past((0..20).chain(100..140)));
        pool.keep(2, 10, past(0..100));
        assert_eq!(like(&mut pool, 1, 0..90), 40);
        assert_eq!(like(&mut pool, 1, (0..20).chain(100..110)), 30);
        assert_eq!(like(&mut pool, 1, 5..90), 0);
        assert_eq!(like(&mut pool, 1, 0..(WORTH as u32 - 1)), 0);
        pool.retain_models(|model| model == 1);
        assert_eq!(like(&mut pool, 2, 0..90), 0);
    }

    #[test]
    fn a_past_takes_the_place_of_what_it_begins_with() {
        let mut pool = Pool::default();
        pool.keep(1, 10, past(0..40));
        pool.keep(1, 10, past(0..60));
        pool.keep(1, 10, past(0..30));
        assert_eq!((pool.kept.len(), like(&mut pool, 1, 0..90)), (1, 60));
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut pool = Pool::default();
        pool.keep(1, 10, past(0..40));
        pool.keep(1, 10, past(100..140));
        assert_eq!(like(&mut pool, 1, 0..90), 40);
        pool.shrink_to(10);
        assert_eq!(like(&mut pool, 1, 0..90), 40);
        assert_eq!(like(&mut pool, 1, 100..190), 0);
        pool.shrink_to(0);
        assert!(pool.kept.is_empty());
        for i in 0..100 {
            pool.keep(1, 1, past(i * 1000..i * 1000 + 20));
        }
        assert_eq!(pool.kept.len(), MOST);
    }
}
