//! The firing tokens of a latent over all shards, by falling activation; equal ones by row, then position, which is by
//! shard, since shards are runs of rows.

use std::collections::BinaryHeap;

use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{MAX_CANDIDATES, MAX_ENTRIES_READ, Source};
use crate::shard::{Firing, Postings, Shard};

/// The strongest token of a shard that has not come yet. The key orders by activation, then earlier shards first; it may
/// compare bits because activations are positive.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: u64,
    at: usize,
}

/// Merges the shards lazily: the cost of the first tokens is a look at each shard.
pub(crate) fn merge(shards: &[Shard], latent: u32) -> impl Iterator<Item = Firing> {
    let postings: Vec<Postings<'_>> = shards.iter().map(|shard| shard.postings(latent)).collect();
    let head = |postings: &[Postings<'_>], shard: usize, at: usize| {
        let activation = postings.get(shard)?.activation(at)?;
        let key = u64::from(activation.to_bits()) << 32 | u64::from(u32::MAX - shard as u32);
        Some(Head { key, at })
    };
    let mut heads: BinaryHeap<Head> = (0..postings.len())
        .filter_map(|shard| head(&postings, shard, 0))
        .collect();
    std::iter::from_fn(move || {
        let mut strongest = heads.peek_mut()?;
        let shard = (u32::MAX - strongest.key as u32) as usize;
        let firing = postings.get(shard)?.get(strongest.at);
        match head(&postings, shard, strongest.at + 1) {
            Some(next) => *strongest = next,
            None => {
                std::collections::binary_heap::PeekMut::pop(strongest);
            }
        }
        firing
    })
}

/// All of them, or of a sample of rows where there are too many; `examples` tells how they are drawn.
pub(crate) fn gather(source: &Source<'_>, rng: &mut ChaCha8Rng) -> Vec<Firing> {
    let postings = within_reach(source, rng);
    let found: usize = postings.iter().map(Postings::len).sum();
    let mut out;
    if found <= MAX_CANDIDATES {
        out = Vec::with_capacity(found);
        out.extend(postings.iter().flat_map(Postings::iter));
    } else {
        let salt = rng.random::<u64>();
        let kept = (u64::MAX as f64 * (MAX_CANDIDATES as f64 / found as f64)) as u64;
        out = Vec::with_capacity(MAX_CANDIDATES + MAX_CANDIDATES / 8);
        let firings = postings.iter().flat_map(Postings::iter);
        out.extend(firings.filter(|firing| mix(salt ^ u64::from(firing.row)) <= kept));
    }
    // Stable, and quick on what is already runs: equal activations stay in the order of shards, rows and positions.
    out.sort_by(|a, b| b.activation.total_cmp(&a.activation));
    out
}

fn within_reach<'a>(source: &Source<'a>, rng: &mut ChaCha8Rng) -> Vec<Postings<'a>> {
    let mut postings: Vec<Postings<'a>> = source
        .shards
        .iter()
        .map(|shard| shard.postings(source.latent))
        .collect();
    let found: usize = postings.iter().map(Postings::len).sum();
    if found > MAX_ENTRIES_READ {
        let mut order: Vec<usize> = (0..postings.len()).collect();
        order.shuffle(rng);
        let mut read = 0;
        order.retain(|&shard| {
            let wanted = read < MAX_ENTRIES_READ;
            read += postings.get(shard).map_or(0, Postings::len);
            wanted
        });
        order.sort_unstable();
        postings = order
            .iter()
            .filter_map(|&shard| postings.get(shard).copied())
            .collect();
    }
    postings
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): spreads row numbers evenly over all 64-bit numbers.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
