//! Examples of a latent, chosen when they are asked for, from the true positions of its firing tokens.
//!
//! # Which windows there are
//!
//! The firing tokens of the latent are taken by falling activation; equal ones by row, then position. Each places a
//! window around itself ([`window`]), inside its row. The window is kept if no window kept before overlaps it and no
//! stronger firing token lies in it: windows never overlap, and the token that places a window is its peak. (A token
//! whose window overlaps a stronger one's is left out with its window, as in non-maximum suppression.) With grid
//! placement this is every cell in which the latent fires. Of kept windows with the same token ids only the strongest is
//! shown. Windows that overlap an excluded one are left out. What remains, by falling peak, is the *population*, and every
//! mode draws from it:
//!
//! - `Top`: its first windows;
//! - `Quantile`: cut into `groups` slices of equal count, the remainder at the weak end left out, `count / groups` drawn
//!   from each, as delphi does (a population smaller than `groups` is cut into slices of one);
//! - `Bins`: by the interval of equal width, from 0 to the latent's highest activation, in which the peak lies;
//! - `Random`: anywhere in it.
//!
//! Where `count` is not a multiple of `groups`, the strongest groups get one more. `NonActivating` windows are not of the
//! population; see [`silent`].
//!
//! # What bounds the work
//!
//! `Top` stops when it has enough, or after [`MAX_CANDIDATES`] firing tokens. The other modes need the whole population.
//! Of a latent with more firing tokens than [`MAX_ENTRIES_READ`], they read shards drawn with the seed until they have
//! read that many; of more than [`MAX_CANDIDATES`] read, they keep rows drawn with the seed that hold about that many. A
//! row is kept whole, so the population of the rows that are kept is exact: a uniform sample of the rows of the cache.

use std::{ops::Range, path::Path};

use latentd_domain::{Example, ExampleMode, ExampleQuery};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{Error, TokenTable, shard::Shard};

mod bits;
mod draw;
mod falling;
mod fill;
mod population;
mod silent;
mod spread;
mod window;

use population::population;

pub(crate) use bits::Taken;
pub(crate) use draw::Drawn;
pub(crate) use falling::merge;
pub(crate) use fill::{examples as filled, fires, given};
pub(crate) use spread::Spread;
pub(crate) use window::{Placement, Window};

/// Firing tokens of one latent that are considered for its examples, at most (about, where rows are sampled).
pub const MAX_CANDIDATES: usize = 200_000;

/// Firing tokens of one latent that are read to choose among, at most, to the end of the last shard.
pub const MAX_ENTRIES_READ: usize = 4_000_000;

/// What bounds the work of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Firing tokens that are considered.
    pub(crate) candidates: usize,
    /// Firing tokens that are read to choose among.
    pub(crate) entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            candidates: MAX_CANDIDATES,
            entries: MAX_ENTRIES_READ,
        }
    }
}

/// What examples of one latent are read from.
pub(crate) struct Source<'a> {
    /// The rows of the cache.
    pub(crate) tokens: &'a TokenTable,
    /// The shards of the SAE, in the order of their rows.
    pub(crate) shards: &'a [Shard],
    /// The folder of the SAE, for errors.
    pub(crate) dir: &'a Path,
    /// The latent.
    pub(crate) latent: u32,
    /// Its highest activation.
    pub(crate) max_activation: f32,
    /// What bounds the work.
    pub(crate) limits: Limits,
    /// Tokens of windows that are not to be shown.
    pub(crate) excluded: Taken,
}

impl<'a> Source<'a> {
    /// Whether a window overlaps one that is not to be shown.
    pub(crate) fn excludes(&self, window: &Window) -> bool {
        self.excluded.any(&self.tokens_of(window))
    }

    /// The tokens of a window, by their place among those of the cache.
    fn tokens_of(&self, window: &Window) -> Range<u64> {
        let start = self.tokens.range(u64::from(window.row)).start + u64::from(window.start);
        start..start + u64::from(window.len)
    }

    /// The token ids of a window.
    fn text(&self, window: &Window) -> &'a [u32] {
        self.tokens.ids(self.tokens_of(window))
    }
}

/// Examples of the source's latent.
pub(crate) fn read(source: &Source<'_>, query: &ExampleQuery) -> Result<Vec<Example>, Error> {
    // Each latent has its own stream of the seed's random numbers, so what it gets does not depend on who is asked along.
    let mut rng = ChaCha8Rng::seed_from_u64(query.seed);
    rng.set_stream(u64::from(source.latent));
    let placement = Placement::new(query);
    match query.mode {
        ExampleMode::Top => {
            let mut spread = Spread::new(source, placement);
            let mut drawn = Vec::new();
            for firing in merge(source.shards, source.latent).take(source.limits.candidates) {
                if drawn.len() >= query.count {
                    break;
                }
                let window = spread.offer(firing)?;
                drawn.extend(
                    window
                        .filter(|window| !source.excludes(window))
                        .map(Drawn::from),
                );
            }
            fill::examples(source, drawn)
        }
        ExampleMode::Quantile => {
            let population = population(source, placement, &mut rng)?;
            fill::examples(source, draw::quantiles(&population, query, &mut rng))
        }
        ExampleMode::Bins => {
            let population = population(source, placement, &mut rng)?;
            fill::examples(
                source,
                draw::bins(&population, source.max_activation, query, &mut rng),
            )
        }
        ExampleMode::Random => {
            let population = population(source, placement, &mut rng)?;
            fill::examples(source, draw::random(&population, query.count, &mut rng))
        }
        ExampleMode::NonActivating => silent::examples(source, placement, query.count, &mut rng),
    }
}
