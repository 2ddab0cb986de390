//! The nearest latents, from counters of how often latents fire together.

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::cache::Parts;

/// Latents of the block that one thread ranks at a time: their counters of one other latent share a few cache lines.
const MEMBERS_A_TASK: usize = 64;

/// For each of `latents`, the `count` nearest by Jaccard index; `counters` is `[d_sae, latents.len()]`.
pub(super) fn by_jaccard(
    counters: &[u32],
    parts: &Parts<'_>,
    latents: &[u32],
    count: usize,
) -> Vec<Vec<(u32, f32)>> {
    let tokens_of = |latent: u32| parts.stats.extent(latent).map_or(0, |(tokens, _)| tokens);
    let others: Vec<u64> = (0..parts.d_sae).map(tokens_of).collect();
    let ranked = latents
        .par_chunks(MEMBERS_A_TASK)
        .enumerate()
        .flat_map_iter(|(task, members)| {
            let mut best: Vec<Best> = members.iter().map(|_| Best::new(count)).collect();
            let start = task * MEMBERS_A_TASK;
            let rows = counters.chunks_exact(latents.len()).zip(&others);
            for (other, (row, &of_other)) in rows.enumerate() {
                let row = row.get(start..start + members.len()).unwrap_or_default();
                for ((&latent, best), &both) in members.iter().zip(&mut best).zip(row) {
                    if both > 0 && latent != other as u32 {
                        let own = others.get(latent as usize).copied().unwrap_or_default();
                        let either = (own + of_other).saturating_sub(u64::from(both));
                        best.offer(other as u32, f64::from(both) / either as f64);
                    }
                }
            }
            best.into_iter().map(Best::finish).collect::<Vec<_>>()
        });
    ranked.collect()
}

/// The greatest so far, and at most as many again that came after.
struct Best {
    count: usize,
    held: Vec<(f64, u32)>,
    /// What is less cannot be among the greatest.
    least: f64,
}

impl Best {
    fn new(count: usize) -> Self {
        Self {
            count,
            held: Vec::new(),
            least: 0.0,
        }
    }

    /// Latents come by rising index, so one that is equal to the least comes too late.
    fn offer(&mut self, latent: u32, similarity: f64) {
        if similarity <= self.least {
            return;
        }
        self.held.push((similarity, latent));
        if self.held.len() >= self.count.saturating_mul(2).max(1) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.count > 0 && self.count < self.held.len() {
            self.held.select_nth_unstable_by(self.count - 1, order);
            self.least = self
                .held
                .get(self.count - 1)
                .map_or(0.0, |&(least, _)| least);
        }
        self.held.truncate(self.count);
    }

    fn finish(mut self) -> Vec<(u32, f32)> {
        self.cut();
        self.held.sort_unstable_by(order);
        self.held
            .into_iter()
            .map(|(similarity, latent)| (latent, similarity as f32))
            .collect()
    }
}

/// Nearest first, equal ones by index.
fn order(a: &(f64, u32), b: &(f64, u32)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}
