//! The firing tokens of a latent over all shards, by falling activation; equal ones by row, then position, which is by
//! shard, since shards are runs of rows.

use std::collections::{BinaryHeap, binary_heap::PeekMut};

use crate::shard::{Firing, Postings, Shard};

/// The strongest token of a shard that has not come yet. The key orders by activation, then earlier shards first; it may
/// compare bits because activations are positive.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: u64,
    at: usize,
}

impl Head {
    fn new(postings: &[Postings<'_>], shard: usize, at: usize) -> Option<Self> {
        let activation = postings.get(shard)?.activation(at)?;
        let key = u64::from(activation.to_bits()) << 32 | u64::from(u32::MAX - shard as u32);
        Some(Self { key, at })
    }

    fn shard(&self) -> usize {
        (u32::MAX - self.key as u32) as usize
    }
}

/// Merges the shards lazily: the cost of the first tokens is a look at each shard.
pub(crate) fn merge(shards: &[Shard], latent: u32) -> impl Iterator<Item = Firing> {
    let postings: Vec<Postings<'_>> = shards.iter().map(|shard| shard.postings(latent)).collect();
    let mut heads: BinaryHeap<Head> = (0..postings.len())
        .filter_map(|shard| Head::new(&postings, shard, 0))
        .collect();
    std::iter::from_fn(move || {
        let mut strongest = heads.peek_mut()?;
        let shard = strongest.shard();
        let firing = postings.get(shard)?.get(strongest.at);
        match Head::new(&postings, shard, strongest.at + 1) {
            Some(next) => *strongest = next,
            None => drop(PeekMut::pop(strongest)),
        }
        firing
    })
}
