//! Token sequences laid back to back, without padding.
//!
//! Everything in a transformer but attention treats each token alone, so a batch is one long list of tokens and the
//! boundaries matter to attention and positions only. Sequences of very unequal length cost what their tokens cost.

use std::ops::Range;

/// Sequences of one batch, back to back. Token `i` of the batch is row `i` of every activation that is computed from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedTokens {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

impl PackedTokens {
    /// Packs `sequences` in their order. An empty sequence stays one, with an empty range.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut packed = Self::default();
        for sequence in sequences {
            packed.ids.extend_from_slice(sequence);
            packed.ends.push(packed.ids.len());
        }
        packed
    }

    /// All token ids, `[tokens]`.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Number of tokens of all sequences together.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.ends.len()
    }

    /// The rows of each sequence, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        let mut start = 0;
        self.ends
            .iter()
            .map(move |&end| std::mem::replace(&mut start, end)..end)
    }

    /// Length of the longest sequence; 0 without sequences.
    pub fn longest(&self) -> usize {
        self.ranges().map(|range| range.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_tile_the_tokens() {
        let packed = PackedTokens::new([&[1, 2, 3][..], &[], &[4]]);
        assert_eq!(packed.ids(), [1, 2, 3, 4]);
        assert_eq!(packed.ranges().collect::<Vec<_>>(), [0..3, 3..3, 3..4]);
        assert_eq!(
            (packed.tokens(), packed.sequences(), packed.longest()),
            (4, 3, 3)
        );
    }

    #[test]
    fn nothing_packs_to_nothing() {
        let packed = PackedTokens::new([]);
        assert_eq!(
            (packed.tokens(), packed.sequences(), packed.longest()),
            (0, 0, 0)
        );
    }
}
