//! Tokens of one text.

/// Tokens of one text, in parallel arrays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenSequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// First byte of each token in the text; an added token has an empty range.
    pub byte_starts: Vec<u32>,
    /// Byte after each token in the text.
    pub byte_ends: Vec<u32>,
    /// True for special tokens such as beginning-of-sequence.
    pub special: Vec<bool>,
}

impl TokenSequence {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
