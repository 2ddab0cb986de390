//! Which windows of a latent are kept: no two overlap, none holds a token stronger than its peak, and no text is shown
//! twice.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

use super::{
    Source,
    window::{Placement, Window},
};
use crate::{Error, shard::Firing};

/// Windows kept so far.
pub(crate) struct Spread<'a> {
    source: &'a Source<'a>,
    placement: Placement,
    taken: Taken,
    /// Token ids of windows kept.
    texts: HashSet<&'a [u32]>,
}

impl<'a> Spread<'a> {
    /// None yet.
    pub(crate) fn new(source: &'a Source<'a>, placement: Placement) -> Self {
        Self {
            source,
            placement,
            taken: Taken::default(),
            texts: HashSet::new(),
        }
    }

    /// The first `count` windows of `candidates`, which come by falling activation.
    ///
    /// Fails with `CacheCorrupt` if a candidate does not lie in its row.
    pub(crate) fn keep<W: From<Window>>(
        &mut self,
        candidates: impl Iterator<Item = Firing>,
        count: usize,
    ) -> Result<Vec<W>, Error> {
        let mut out = Vec::new();
        for candidate in candidates {
            if out.len() >= count {
                break;
            }
            out.extend(self.offer(candidate)?.map(W::from));
        }
        Ok(out)
    }

    /// The window of a firing token, if it is kept.
    fn offer(&mut self, firing: Firing) -> Result<Option<Window>, Error> {
        let row = self.source.tokens.range(u64::from(firing.row));
        let row_len = (row.end - row.start) as u32;
        if firing.position >= row_len {
            let latent = self.source.latent;
            let detail = format!("latent {latent} fires outside of row {}", firing.row);
            return Err(Error::corrupt(self.source.dir, detail));
        }
        let within = self.placement.around(firing.position, row_len);
        let window = row.start + u64::from(within.start)..row.start + u64::from(within.end);
        if self.taken.any(&window) {
            let token = row.start + u64::from(firing.position);
            self.taken.add(&(token..token + 1));
            return Ok(None);
        }
        self.taken.add(&window);
        let kept = Window {
            row: firing.row,
            start: within.start,
            len: within.end - within.start,
            peak_position: firing.position,
            peak: firing.activation,
        };
        Ok(self
            .texts
            .insert(self.source.tokens.ids(window))
            .then_some(kept))
    }

    /// A window around token `token` of the cache in which the latent may be silent, if nothing kept before overlaps it.
    /// It is not kept by this: [`Spread::keep_silent`] does that.
    pub(crate) fn propose(&self, token: u64) -> Option<Window> {
        let tokens = self.source.tokens;
        let row = tokens.row_of(token);
        let range = tokens.range(row);
        let position = token
            .checked_sub(range.start)
            .filter(|_| token < range.end)? as u32;
        let within = self
            .placement
            .around(position, (range.end - range.start) as u32);
        let window = Window {
            row: row as u32,
            start: within.start,
            len: within.end - within.start,
            peak_position: position,
            peak: 0.0,
        };
        (!self.taken.any(&self.tokens_of(&window))).then_some(window)
    }

    /// Keeps a window if nothing kept before overlaps it or has its text.
    pub(crate) fn keep_silent(&mut self, window: &Window) -> bool {
        let tokens = self.tokens_of(window);
        if self.taken.any(&tokens) {
            return false;
        }
        self.taken.add(&tokens);
        self.texts.insert(self.source.tokens.ids(tokens))
    }

    fn tokens_of(&self, window: &Window) -> Range<u64> {
        let start = self.source.tokens.range(u64::from(window.row)).start + u64::from(window.start);
        start..start + u64::from(window.len)
    }
}

/// A set of tokens of the cache: sparse words of a bitmap, so that it costs what is in it and not what could be.
#[derive(Default)]
struct Taken(HashMap<u64, u64, BuildHasherDefault<Fold>>);

impl Taken {
    fn any(&self, tokens: &Range<u64>) -> bool {
        words(tokens).any(|(word, bits)| self.0.get(&word).is_some_and(|held| held & bits != 0))
    }

    fn add(&mut self, tokens: &Range<u64>) {
        for (word, bits) in words(tokens) {
            *self.0.entry(word).or_insert(0) |= bits;
        }
    }
}

/// The words of a bitmap that a range touches, and its bits in each.
fn words(tokens: &Range<u64>) -> impl Iterator<Item = (u64, u64)> {
    let Range { start, end } = *tokens;
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

/// Hashes a word's number by one multiplication. Numbers of words are ours, not a client's: they need no more.
#[derive(Default)]
struct Fold(u64);

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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn taken_is_a_set_of_tokens(
            ranges in prop::collection::vec((0..400_u64, 0..150_u64), 0..8),
            asked in (0..400_u64, 0..150_u64),
        ) {
            let mut taken = Taken::default();
            let mut naive = HashSet::new();
            for (start, len) in ranges {
                taken.add(&(start..start + len));
                naive.extend(start..start + len);
            }
            let asked = asked.0..asked.0 + asked.1;
            prop_assert_eq!(taken.any(&asked), asked.clone().any(|token| naive.contains(&token)));
        }
    }
}
