//! Choosing latents while their activations come by, tile after tile: every one that fires, or the strongest k.
//!
//! Both collectors see the activations of one block of rows and of ascending latents. What they keep depends on the
//! activations alone and not on how rows and latents were cut into blocks and tiles, so neither does the result.

/// An activation and its latent in one integer, whose order is the order of selection: the stronger is greater, and among
/// equals the lower latent. Activations that fire are above 0, and such floats sort like their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    /// The key of an activation above 0.
    #[inline(always)]
    pub(super) fn new(latent: u32, activation: f32) -> Self {
        Self((u64::from(activation.to_bits()) << 32) | u64::from(!latent))
    }

    /// The latent.
    pub(super) fn latent(self) -> u32 {
        !(self.0 as u32)
    }

    /// Its activation.
    pub(super) fn activation(self) -> f32 {
        f32::from_bits((self.0 >> 32) as u32)
    }
}

/// What was kept of each row of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Candidates {
    /// Where each row begins; one entry more than there are rows.
    offsets: Vec<usize>,
    keys: Vec<Key>,
}

impl Candidates {
    /// What was kept of row `row`.
    pub(super) fn row(&self, row: usize) -> &[Key] {
        let bounds = self.offsets.get(row).zip(self.offsets.get(row + 1));
        bounds
            .and_then(|(&start, &end)| self.keys.get(start..end))
            .unwrap_or_default()
    }

    /// Number of entries of all rows.
    pub(super) fn entries(&self) -> usize {
        self.keys.len()
    }
}

/// Takes activations as they come by.
pub(super) trait Collector {
    /// What an activation of `row` must exceed to be of interest; never below 0.
    fn threshold(&self, row: usize) -> f32;

    /// Takes an activation above the threshold. The latents of one row come in ascending order.
    fn offer(&mut self, row: usize, latent: u32, activation: f32);

    /// How many activations it holds for certain, where all that fires is kept; 0 where that is decided later.
    #[cfg(any(test, not(feature = "cuda")))]
    fn counted(&self) -> usize;

    /// What was kept, row by row.
    fn finish(self) -> Candidates;
}

/// Keeps all that fire, by ascending latent.
pub(super) struct Firing {
    rows: usize,
    /// Rows and their entries in the order in which they came: by tile first, then by row.
    entries: Vec<(u32, Key)>,
}

impl Firing {
    /// A collector for `rows` rows.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            rows,
            entries: Vec::new(),
        }
    }
}

impl Collector for Firing {
    #[inline(always)]
    fn threshold(&self, _row: usize) -> f32 {
        0.0
    }

    #[inline(always)]
    fn offer(&mut self, row: usize, latent: u32, activation: f32) {
        self.entries
            .push((row as u32, Key::new(latent, activation)));
    }

    #[cfg(any(test, not(feature = "cuda")))]
    fn counted(&self) -> usize {
        self.entries.len()
    }

    /// A counting sort by row, which leaves the latents of a row in their order.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows are below `rows`, as the blocks are cut"
    )]
    fn finish(self) -> Candidates {
        let mut offsets = vec![0; self.rows + 1];
        for (row, _) in &self.entries {
            offsets[*row as usize + 1] += 1;
        }
        for row in 0..self.rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let mut keys = vec![Key(0); self.entries.len()];
        for (row, key) in self.entries {
            let slot = &mut next[row as usize];
            keys[*slot] = key;
            *slot += 1;
        }
        Candidates { offsets, keys }
    }
}

/// Keeps the strongest `k` of each row, strongest first.
///
/// Each row has a buffer of some more than `k` keys. When it is full, a selection cuts it back to `k`, and the weakest that
/// stays becomes the threshold: from then on an activation that does not exceed it cannot be among the strongest, for the
/// lower latents that equal it came first. After some tiles next to nothing exceeds it, and the scan is all that is left.
pub(super) struct Strongest {
    k: usize,
    capacity: usize,
    keys: Vec<Key>,
    lengths: Vec<usize>,
    thresholds: Vec<f32>,
}

/// A buffer of less than this is cut back too often.
const LEAST_CAPACITY: usize = 48;

impl Strongest {
    /// A collector of the strongest `k`, at least 1, of `latents` latents for `rows` rows.
    pub(super) fn new(rows: usize, k: usize, latents: usize) -> Self {
        // With room for all latents, the buffer never fills.
        let capacity = (2 * k).max(LEAST_CAPACITY).min(latents + 1);
        Self {
            k,
            capacity,
            keys: vec![Key(0); rows * capacity],
            lengths: vec![0; rows],
            thresholds: vec![0.0; rows],
        }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "rows are below the number that the collector was made for"
)]
impl Collector for Strongest {
    #[inline(always)]
    fn threshold(&self, row: usize) -> f32 {
        self.thresholds[row]
    }

    #[inline(always)]
    fn offer(&mut self, row: usize, latent: u32, activation: f32) {
        let length = self.lengths[row];
        self.keys[row * self.capacity + length] = Key::new(latent, activation);
        self.lengths[row] = length + 1;
        if length + 1 == self.capacity {
            let keys = &mut self.keys[row * self.capacity..(row + 1) * self.capacity];
            self.thresholds[row] = cut_back(keys, self.k);
            self.lengths[row] = self.k.min(length + 1);
        }
    }

    #[cfg(any(test, not(feature = "cuda")))]
    fn counted(&self) -> usize {
        0
    }

    fn finish(mut self) -> Candidates {
        let mut out = Candidates {
            offsets: vec![0],
            keys: Vec::new(),
        };
        for (row, &length) in self.lengths.iter().enumerate() {
            let keys = &mut self.keys[row * self.capacity..row * self.capacity + length];
            strongest_first(keys, self.k);
            out.keys.extend_from_slice(&keys[..self.k.min(length)]);
            out.offsets.push(out.keys.len());
        }
        out
    }
}

/// Moves the greatest `k` of `keys` to the front, in no order, and returns the activation of the least of them, or 0 if there
/// are not as many.
#[inline(never)]
fn cut_back(keys: &mut [Key], k: usize) -> f32 {
    if k >= keys.len() {
        return 0.0;
    }
    let (_, weakest, _) = keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
    weakest.activation()
}

/// Moves the greatest `k` of `keys` to the front, greatest first.
pub(super) fn strongest_first(keys: &mut [Key], k: usize) {
    if k > 0 && k < keys.len() {
        keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
    }
    let kept = k.min(keys.len());
    if let Some(kept) = keys.get_mut(..kept) {
        kept.sort_unstable_by(|a, b| b.cmp(a));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(mut collector: impl Collector, rows: &[Vec<f32>], tile: usize) -> Candidates {
        let width = rows.first().map_or(0, Vec::len);
        for start in (0..width).step_by(tile) {
            for (row, values) in rows.iter().enumerate() {
                for (latent, &value) in values.iter().enumerate().skip(start).take(tile) {
                    if value > collector.threshold(row) {
                        collector.offer(row, latent as u32, value);
                    }
                }
            }
        }
        collector.finish()
    }

    fn entries(keys: &[Key]) -> Vec<(u32, f32)> {
        keys.iter()
            .map(|key| (key.latent(), key.activation()))
            .collect()
    }

    /// Few distinct values, so that ties are the rule.
    fn rows() -> impl Strategy<Value = Vec<Vec<f32>>> {
        (1usize..5, 1usize..300).prop_flat_map(|(rows, width)| {
            let value = (-3i8..8).prop_map(|value| f32::from(value) * 0.5);
            proptest::collection::vec(proptest::collection::vec(value, width), rows)
        })
    }

    proptest! {
        #[test]
        fn keys_hold_what_they_are_made_of(latent: u32, activation in 1e-30f32..1e30) {
            let key = Key::new(latent, activation);
            prop_assert_eq!((key.latent(), key.activation()), (latent, activation));
        }

        #[test]
        fn the_strongest_are_a_prefix_of_the_sorted(rows in rows(), k in 1usize..320, tile in 1usize..40) {
            let width = rows[0].len();
            let kept = collect(Strongest::new(rows.len(), k, width), &rows, tile);
            for (row, values) in rows.iter().enumerate() {
                let mut all: Vec<_> =
                    values.iter().enumerate().filter(|(_, v)| **v > 0.0).map(|(i, &v)| (i as u32, v)).collect();
                all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                all.truncate(k);
                prop_assert_eq!(entries(kept.row(row)), all);
            }
        }

        #[test]
        fn all_that_fires_is_kept_in_order(rows in rows(), tile in 1usize..40) {
            let kept = collect(Firing::new(rows.len()), &rows, tile);
            for (row, values) in rows.iter().enumerate() {
                let all: Vec<_> =
                    values.iter().enumerate().filter(|(_, v)| **v > 0.0).map(|(i, &v)| (i as u32, v)).collect();
                prop_assert_eq!(entries(kept.row(row)), all);
            }
            prop_assert_eq!(kept.row(rows.len()), &[]);
        }
    }
}
