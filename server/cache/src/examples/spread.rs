//! Which windows are kept where candidates come one by one: no two overlap, none holds a token stronger than its peak,
//! and no text is shown twice.

use std::{collections::HashSet, ops::Range};

use super::{
    Source,
    bits::Taken,
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

    /// The window of a firing token, if it is kept. Tokens come by falling activation.
    ///
    /// Fails with `CacheCorrupt` if the token does not lie in its row.
    pub(crate) fn offer(&mut self, firing: Firing) -> Result<Option<Window>, Error> {
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
        let free = !self.taken.any(&self.tokens_of(&window)) && !self.source.excludes(&window);
        free.then_some(window)
    }

    /// Keeps a window if nothing kept before overlaps it or has its text.
    pub(crate) fn keep_silent(&mut self, window: &Window) -> bool {
        let tokens = self.tokens_of(window);
        if self.taken.any(&tokens) {
            return false;
        }
        self.taken.add(&tokens);
        self.texts.insert(self.source.text(window))
    }

    fn tokens_of(&self, window: &Window) -> Range<u64> {
        self.source.tokens_of(window)
    }
}
