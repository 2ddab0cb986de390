//! Texts that are most like given ones: hard examples of where a latent does not fire, found by sentence embeddings.
//!
//! delphi (`latents/constructors.py`, `faiss_non_activation_windows`) takes as many texts as it needs around the first of its
//! queries, so the others have no say. Here the queries choose in turn, each the nearest text that nobody chose before.

use std::{collections::BTreeSet, ops::Range};

/// Bytes of the pool that are compared with every query before the next ones are read: they stay in the second-level cache.
const BLOCK_BYTES: usize = 256 << 10;

/// Embeddings of length 1, row by row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Embeddings<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Embeddings<'a> {
    /// The rows of `values`, each of `width` values; what is left over at the end is no row.
    pub const fn new(values: &'a [f32], width: usize) -> Self {
        Self { values, width }
    }

    /// Number of embeddings.
    pub const fn len(&self) -> usize {
        match self.values.len().checked_div(self.width) {
            Some(rows) => rows,
            None => 0,
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn rows(&self, range: Range<usize>) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let values = range.start * self.width..range.end * self.width;
        let values = self.values.get(values).unwrap_or_default();
        values.chunks_exact(self.width.max(1))
    }
}

/// A text of the pool, and who chose it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Its position in the pool.
    pub at: usize,
    /// Its cosine with the query.
    pub similarity: f32,
    /// The query, by position.
    pub query: usize,
}

/// `count` texts of `pool`, each the nearest to one of `queries`, which choose in turn, the first one first. Only texts for
/// which `eligible` is true are chosen, each once. Equally near ones are chosen by position.
///
/// Every query is compared with every eligible text, block by block; of each query no more than the `count` nearest are held.
pub fn nearest_in_turn(
    queries: Embeddings<'_>,
    pool: Embeddings<'_>,
    count: usize,
    eligible: impl Fn(usize) -> bool,
) -> Vec<Chosen> {
    if count == 0 || queries.width != pool.width {
        return Vec::new();
    }
    // When a query chooses, fewer than `count` texts are gone, so one of its `count` nearest is left, if it has as many.
    let mut rankings: Vec<Ranking> = (0..queries.len()).map(|_| Ranking::new(count)).collect();
    let step = (BLOCK_BYTES / (size_of::<f32>() * pool.width.max(1))).max(1);
    for first in (0..pool.len()).step_by(step) {
        let block = first..(first + step).min(pool.len());
        let wanted: Vec<(usize, &[f32])> = block
            .clone()
            .zip(pool.rows(block))
            .filter(|&(at, _)| eligible(at))
            .collect();
        for (query, ranking) in queries.rows(0..queries.len()).zip(&mut rankings) {
            for &(at, text) in &wanted {
                ranking.offer(at, dot(query, text));
            }
        }
    }
    in_turn(rankings.into_iter().map(Ranking::finish).collect(), count)
}

/// Lets the owners of `rankings` choose in turn.
fn in_turn(rankings: Vec<Vec<(f32, usize)>>, count: usize) -> Vec<Chosen> {
    let mut rankings: Vec<_> = rankings.into_iter().map(Vec::into_iter).collect();
    let mut gone = BTreeSet::new();
    let mut out = Vec::new();
    let mut before = usize::MAX;
    while before != out.len() {
        before = out.len();
        for (query, ranking) in rankings.iter_mut().enumerate() {
            if out.len() == count {
                return out;
            }
            if let Some((similarity, at)) = ranking.find(|&(_, at)| gone.insert(at)) {
                out.push(Chosen {
                    at,
                    similarity,
                    query,
                });
            }
        }
    }
    out
}

/// The nearest texts of one query, and at most as many again that came after.
struct Ranking {
    count: usize,
    held: Vec<(f32, usize)>,
    /// What is less near cannot be among the nearest.
    least: f32,
}

impl Ranking {
    fn new(count: usize) -> Self {
        Self {
            count,
            held: Vec::new(),
            least: f32::NEG_INFINITY,
        }
    }

    /// Texts come by position, so one that is as near as the least comes too late.
    fn offer(&mut self, at: usize, similarity: f32) {
        if similarity.is_nan() || similarity <= self.least {
            return;
        }
        self.held.push((similarity, at));
        if self.held.len() >= self.count.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.count < self.held.len() {
            self.held.select_nth_unstable_by(self.count - 1, nearer);
            self.held.truncate(self.count);
            let least = self.held.iter().map(|&(similarity, _)| similarity);
            self.least = least.fold(f32::INFINITY, f32::min);
        }
    }

    fn finish(mut self) -> Vec<(f32, usize)> {
        self.cut();
        self.held.sort_unstable_by(nearer);
        self.held
    }
}

fn nearer(a: &(f32, usize), b: &(f32, usize)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// The dot product, in 16 partial sums.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All cosines, then a full sort for each choice.
    fn naive(
        queries: &[Vec<f32>],
        pool: &[Vec<f32>],
        count: usize,
        eligible: &[bool],
    ) -> Vec<Chosen> {
        let mut out: Vec<Chosen> = Vec::new();
        let mut query = 0;
        while out.len() < count {
            let best = (0..pool.len())
                .filter(|&at| eligible[at] && out.iter().all(|chosen| chosen.at != at))
                .map(|at| (dot(&queries[query], &pool[at]), at))
                .min_by(nearer);
            let Some((similarity, at)) = best else { break };
            out.push(Chosen {
                at,
                similarity,
                query,
            });
            query = (query + 1) % queries.len();
        }
        out
    }

    fn rows(width: usize, most: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
        // Few values, so that ties are common.
        let value = (-2..=2_i8).prop_map(f32::from);
        prop::collection::vec(prop::collection::vec(value, width), 1..most)
    }

    proptest! {
        #[test]
        fn queries_choose_in_turn(
            (queries, pool) in (1..20_usize).prop_flat_map(|width| (rows(width, 5), rows(width, 60))),
            count in 0..70_usize,
            salt in any::<u64>(),
        ) {
            let eligible: Vec<bool> = (0..pool.len()).map(|at| salt >> (at % 64) & 1 == 0).collect();
            let width = pool[0].len();
            let (flat_queries, flat_pool) = (queries.concat(), pool.concat());
            let found = nearest_in_turn(
                Embeddings::new(&flat_queries, width),
                Embeddings::new(&flat_pool, width),
                count,
                |at| eligible[at],
            );
            prop_assert_eq!(found, naive(&queries, &pool, count, &eligible));
        }
    }

    #[test]
    fn no_query_takes_all() {
        // Every text is nearer to the first query than to the second.
        let queries = [1.0, 0.0, 0.6, 0.8];
        let pool: Vec<f32> = (0..20_u8)
            .flat_map(|at| {
                let angle = f32::from(at) * 0.01;
                [angle.cos(), -angle.sin()]
            })
            .collect();
        let found = nearest_in_turn(
            Embeddings::new(&queries, 2),
            Embeddings::new(&pool, 2),
            10,
            |_| true,
        );
        let of_first = found.iter().filter(|chosen| chosen.query == 0).count();
        assert_eq!((found.len(), of_first), (10, 5));
    }

    #[test]
    fn odd_shapes_choose_nothing() {
        let (none, one) = (Embeddings::new(&[], 2), Embeddings::new(&[1.0, 0.0], 2));
        let zero = Embeddings::new(&[], 0);
        assert!(none.is_empty() && zero.is_empty());
        assert_eq!(nearest_in_turn(none, one, 3, |_| true), []);
        assert_eq!(nearest_in_turn(one, none, 3, |_| true), []);
        assert_eq!(nearest_in_turn(zero, one, 3, |_| true), []);
        assert_eq!(nearest_in_turn(one, one, 0, |_| true), []);
        assert_eq!(nearest_in_turn(one, one, 3, |_| false), []);
        assert_eq!(nearest_in_turn(one, one, usize::MAX, |_| true).len(), 1);
    }
}
