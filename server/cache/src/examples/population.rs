//! All windows of a latent, by falling peak: what modes other than top draw from.
//!
//! Windows lie inside rows, so which are kept can be told row by row. The tokens of a shard are dealt to their rows, which
//! keeps their falling order, each row is gone through with a bitmap of its own, and only the windows that are kept are
//! sorted. With `n` firing tokens and `w` windows that is O(n + w log w), and memory is that of one shard's tokens of the
//! latent and of the windows.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasherDefault,
};

use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    Source,
    bits::{self, Fold},
    window::{Placement, Window},
};
use crate::{
    Error,
    shard::{Firing, Postings, Shard},
};

/// The windows that are kept, each text once, by falling peak; equal ones by row, then position.
pub(crate) fn population(
    source: &Source<'_>,
    placement: Placement,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Window>, Error> {
    let shards = within_reach(source, rng);
    let found: usize = shards
        .iter()
        .map(|shard| shard.postings(source.latent).len())
        .sum();
    let sample = RowSample::new(found, source.limits.candidates, rng);
    let mut kept = Vec::with_capacity(found.min(source.limits.candidates) / 2);
    let mut rows = Rows::new(source, placement);
    for shard in shards {
        rows.deal(shard, &sample)?;
        for row in 0..rows.len() {
            rows.spread(row, shard, &mut kept)?;
        }
    }
    let mut population = falling_without_repeats(source, &kept);
    population.retain(|window| !source.excludes(window));
    Ok(population)
}

/// All shards, or some drawn at random that hold about as many firing tokens as may be read.
fn within_reach<'a>(source: &Source<'a>, rng: &mut ChaCha8Rng) -> Vec<&'a Shard> {
    let mut shards: Vec<&Shard> = source.shards.iter().collect();
    let held = |shard: &Shard| shard.postings(source.latent).len();
    if shards.iter().map(|shard| held(shard)).sum::<usize>() > source.limits.entries {
        shards.shuffle(rng);
        let mut read = 0;
        shards.retain(|shard| {
            let wanted = read < source.limits.entries;
            read += held(shard);
            wanted
        });
        shards.sort_unstable_by_key(|shard| shard.rows().start);
    }
    shards
}

/// Which rows are looked at.
struct RowSample {
    salt: u64,
    /// Rows whose number hashes to more are left out.
    most: u64,
}

impl RowSample {
    /// Rows that hold about `wanted` of `found` firing tokens; all, if these are not more.
    fn new(found: usize, wanted: usize, rng: &mut ChaCha8Rng) -> Self {
        if found <= wanted {
            return Self {
                salt: 0,
                most: u64::MAX,
            };
        }
        let part = wanted as f64 / found as f64;
        Self {
            salt: rng.random(),
            most: (u64::MAX as f64 * part) as u64,
        }
    }

    fn holds(&self, row: u32) -> bool {
        self.most == u64::MAX || mix(self.salt ^ u64::from(row)) <= self.most
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): spreads row numbers evenly over all 64-bit numbers.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The firing tokens of one shard, row by row. Kept between shards for its memory.
struct Rows<'a> {
    source: &'a Source<'a>,
    placement: Placement,
    /// Where the tokens of each row begin among `dealt`, and the end of the last one.
    starts: Vec<u32>,
    /// Firing tokens by row, falling inside each.
    dealt: Vec<Firing>,
    /// Tokens of one row that no further window may hold.
    taken: Vec<u64>,
}

impl<'a> Rows<'a> {
    fn new(source: &'a Source<'a>, placement: Placement) -> Self {
        Self {
            source,
            placement,
            starts: Vec::new(),
            dealt: Vec::new(),
            taken: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Deals the firing tokens of a shard to its rows by a counting sort.
    fn deal(&mut self, shard: &Shard, sample: &RowSample) -> Result<(), Error> {
        let rows = shard.rows();
        let postings = shard.postings(self.source.latent);
        let row_at = |row: u32| u64::from(row).wrapping_sub(rows.start) as usize;
        self.starts.clear();
        self.starts.resize((rows.end - rows.start) as usize + 1, 0);
        for &row in postings.rows() {
            // The count of each row, one place on: summed up, it is where the row begins.
            match self.starts.get_mut(row_at(row).saturating_add(1)) {
                Some(count) => *count += u32::from(sample.holds(row)),
                None => return Err(outside(self.source, row)),
            }
        }
        let mut total = 0;
        for start in &mut self.starts {
            total += *start;
            *start = total;
        }
        self.dealt.clear();
        self.dealt.resize(
            total as usize,
            Firing {
                activation: 0.0,
                row: 0,
                position: 0,
            },
        );
        self.place(postings, &row_at, sample);
        Ok(())
    }

    fn place(
        &mut self,
        postings: Postings<'_>,
        row_at: &impl Fn(u32) -> usize,
        sample: &RowSample,
    ) {
        // From the weakest to the strongest, each row filled from its end: the next row's start moves down to its own.
        for at in (0..postings.len()).rev() {
            let Some(firing) = postings.get(at) else {
                continue;
            };
            if !sample.holds(firing.row) {
                continue;
            }
            let Some(end) = self.starts.get_mut(row_at(firing.row) + 1) else {
                continue;
            };
            *end -= 1;
            if let Some(place) = self.dealt.get_mut(*end as usize) {
                *place = firing;
            }
        }
        // Each end is now the beginning of its row, one place on: the first entry, 0, makes way for the end of all.
        self.starts.remove(0);
        self.starts.push(self.dealt.len() as u32);
    }

    /// Keeps windows of row number `row` of the shard, as the documentation of `examples` tells.
    fn spread(
        &mut self,
        row: usize,
        shard: &Shard,
        kept: &mut Vec<(u64, Window)>,
    ) -> Result<(), Error> {
        let bounds = self.starts.get(row).zip(self.starts.get(row + 1));
        let bounds = bounds.map_or(0..0, |(&start, &end)| start as usize..end as usize);
        let firings = self.dealt.get(bounds).unwrap_or_default();
        if firings.is_empty() {
            return Ok(());
        }
        let row = shard.rows().start + row as u64;
        let ids = self.source.tokens.row(row);
        let row_len = ids.len() as u32;
        self.taken.clear();
        self.taken.resize(ids.len().div_ceil(64), 0);
        for firing in firings {
            if firing.position >= row_len {
                return Err(outside(self.source, firing.row));
            }
            let window = self.placement.around(firing.position, row_len);
            if bits::meets(&self.taken, &window) {
                bits::set(&mut self.taken, &(firing.position..firing.position + 1));
                continue;
            }
            bits::set(&mut self.taken, &window);
            let text = ids
                .get(window.start as usize..window.end as usize)
                .unwrap_or_default();
            let window = Window {
                row: firing.row,
                start: window.start,
                len: window.end - window.start,
                peak_position: firing.position,
                peak: firing.activation,
            };
            kept.push((hash(text), window));
        }
        Ok(())
    }
}

fn outside(source: &Source<'_>, row: u32) -> Error {
    Error::corrupt(
        source.dir,
        format!("latent {} fires outside of row {row}", source.latent),
    )
}

/// A number that windows with the same token ids share, and hardly any others: four ids at a time are folded by a wide
/// multiplication, as in wyhash. The length is spread over all bits first, or it would weigh no more than an id: `[0, 1]` and
/// `[2]` would be one text.
fn hash(text: &[u32]) -> u64 {
    let fold = |a: u64, b: u64| {
        let wide = u128::from(a) * u128::from(b);
        wide as u64 ^ (wide >> 64) as u64
    };
    let pair = |ids: &[u32]| ids.iter().fold(0, |both, &id| both << 32 | u64::from(id));
    text.chunks(4).fold(mix(text.len() as u64), |hash, four| {
        let (front, back) = four.split_at(four.len().min(2));
        fold(
            hash ^ pair(front) ^ 0x9e37_79b9_7f4a_7c15,
            pair(back) ^ 0xbf58_476d_1ce4_e5b9,
        )
    })
}

/// The windows by falling peak, the first of each text. `kept` is in the order of rows and falls inside each, so its
/// order breaks ties.
fn falling_without_repeats(source: &Source<'_>, kept: &[(u64, Window)]) -> Vec<Window> {
    let key = |(at, (_, window)): (usize, &(u64, Window))| {
        u64::from(!window.peak.to_bits()) << 32 | at as u64
    };
    let mut order: Vec<u64> = kept.iter().enumerate().map(key).collect();
    order.sort_unstable();
    let mut texts: HashMap<u64, Window, BuildHasherDefault<Fold>> = HashMap::default();
    texts.reserve(kept.len());
    let mut out = Vec::with_capacity(kept.len());
    for &(hash, window) in order
        .iter()
        .filter_map(|&key| kept.get(key as u32 as usize))
    {
        match texts.entry(hash) {
            Entry::Vacant(place) => {
                place.insert(window);
                out.push(window);
            }
            // Texts that differ and share their hash are both shown.
            Entry::Occupied(first) if source.text(first.get()) != source.text(&window) => {
                out.push(window);
            }
            Entry::Occupied(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_of_different_lengths_have_different_numbers() {
        let mut texts: Vec<Vec<u32>> = vec![Vec::new()];
        let mut all = HashSet::new();
        for _ in 0..=6 {
            all.extend(texts.iter().map(|text| hash(text)));
            texts = texts
                .iter()
                .flat_map(|text| (0..5).map(|id| [text.as_slice(), &[id]].concat()))
                .collect();
        }
        assert_eq!(
            all.len(),
            (0..=6).map(|length| 5_usize.pow(length)).sum::<usize>()
        );
    }
}
