//! Windows in which a latent does not fire.
//!
//! Tokens of the cache are drawn at random, and each places a window as a peak would. Windows in which the latent fires
//! are dropped, as are those that overlap one before or repeat its text. A cache of at most [`MAX_DRAWS`] tokens has each
//! of its tokens drawn once, so whatever can be found is; in a larger one the search ends after that many, so a latent
//! that fires nearly everywhere gets fewer windows than were asked for.

use latentd_domain::Example;
use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{Source, draw::Drawn, fill, spread::Spread, window::Placement};
use crate::Error;

/// Tokens that are drawn, at most.
pub(crate) const MAX_DRAWS: usize = 16_384;

/// Windows that are looked at together, at least: each look is a pass over the shards they lie in.
const MIN_ROUND: usize = 16;

/// `count` windows in which the latent does not fire, in the order in which they were drawn.
pub(crate) fn examples(
    source: &Source<'_>,
    placement: Placement,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Example>, Error> {
    let mut spread = Spread::new(source, placement);
    let mut found: Vec<Drawn> = Vec::new();
    let mut draws = Draws::new(source.tokens.tokens(), rng);
    let mut round = count;
    while found.len() < count {
        round = round.max(MIN_ROUND);
        let drawn = draws.next(round);
        if drawn.is_empty() {
            break;
        }
        let windows: Vec<_> = drawn
            .iter()
            .filter_map(|&token| spread.propose(token))
            .collect();
        let fires = fill::fires(source, &windows);
        for (window, _) in windows.iter().zip(fires).filter(|&(_, fires)| !fires) {
            if found.len() < count && spread.keep_silent(window) {
                found.push(Drawn::from(*window));
            }
        }
        // The fewer were found, the more are looked at together next.
        round = round.saturating_mul(2);
    }
    fill::examples(source, found)
}

/// Tokens in random order.
struct Draws<'a> {
    tokens: u64,
    left: usize,
    /// All tokens, shuffled, if they are few.
    all: Option<Vec<u64>>,
    rng: &'a mut ChaCha8Rng,
}

impl<'a> Draws<'a> {
    fn new(tokens: u64, rng: &'a mut ChaCha8Rng) -> Self {
        let all = (tokens <= MAX_DRAWS as u64).then(|| {
            let mut all: Vec<u64> = (0..tokens).collect();
            all.shuffle(rng);
            all
        });
        Self {
            tokens,
            left: MAX_DRAWS,
            all,
            rng,
        }
    }

    /// The next `count`, fewer if the search is at its end.
    fn next(&mut self, count: usize) -> Vec<u64> {
        let count = count.min(self.left);
        self.left -= count;
        match &mut self.all {
            Some(all) => all.split_off(all.len().saturating_sub(count)),
            None => (0..count)
                .map(|_| self.rng.random_range(0..self.tokens))
                .collect(),
        }
    }
}
