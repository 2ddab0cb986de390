//! Sets of tokens as bitmaps, dense and sparse.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

/// The words of a bitmap that a range touches, and its bits in each.
fn words(tokens: Range<u64>) -> impl Iterator<Item = (u64, u64)> {
    let Range { start, end } = tokens;
    let last = if start < end {
        (end - 1) / 64 + 1
    } else {
        start / 64
    };
    (start / 64..last).map(move |word| {
        let from = start.max(word * 64) - word * 64;
        let to = end.min(word * 64 + 64) - word * 64;
        (word, u64::MAX >> (64 - (to - from)) << from)
    })
}

fn wide(tokens: &Range<u32>) -> Range<u64> {
    u64::from(tokens.start)..u64::from(tokens.end)
}

/// Whether any of `tokens` is in the bitmap.
pub(super) fn meets(bitmap: &[u64], tokens: &Range<u32>) -> bool {
    words(wide(tokens)).any(|(word, bits)| {
        bitmap
            .get(word as usize)
            .is_some_and(|held| held & bits != 0)
    })
}

/// Puts `tokens` in the bitmap; those beyond its end are left out.
pub(super) fn set(bitmap: &mut [u64], tokens: &Range<u32>) {
    for (word, bits) in words(wide(tokens)) {
        if let Some(held) = bitmap.get_mut(word as usize) {
            *held |= bits;
        }
    }
}

/// A set of tokens of the cache: sparse words of a bitmap, so that it costs what is in it and not what could be.
#[derive(Default)]
pub(crate) struct Taken(HashMap<u64, u64, BuildHasherDefault<Fold>>);

impl Taken {
    /// Whether any of `tokens` is in the set.
    pub(crate) fn any(&self, tokens: &Range<u64>) -> bool {
        words(tokens.clone())
            .any(|(word, bits)| self.0.get(&word).is_some_and(|held| held & bits != 0))
    }

    /// Puts `tokens` in the set.
    pub(crate) fn add(&mut self, tokens: &Range<u64>) {
        for (word, bits) in words(tokens.clone()) {
            *self.0.entry(word).or_insert(0) |= bits;
        }
    }
}

/// Hashes words by a multiplication each. Nothing depends on its hashes being hard to foresee.
#[derive(Default)]
pub(super) struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_are_sets_of_tokens(
            ranges in prop::collection::vec((0..400_u32, 0..150_u32), 0..8),
            asked in (0..400_u32, 0..150_u32),
        ) {
            let (mut dense, mut sparse, mut naive) = (vec![0; 9], Taken::default(), HashSet::new());
            for (start, len) in ranges {
                set(&mut dense, &(start..start + len));
                sparse.add(&wide(&(start..start + len)));
                naive.extend(start..start + len);
            }
            let asked = asked.0..asked.0 + asked.1;
            let expected = asked.clone().any(|token| naive.contains(&token));
            prop_assert_eq!(meets(&dense, &asked), expected);
            prop_assert_eq!(sparse.any(&wide(&asked)), expected);
        }
    }
}
