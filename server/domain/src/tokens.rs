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

/// The beginning-of-sequence token that goes in front of `ids`: `bos`, unless they begin with it. Two of them in a row are
/// a text that no model was trained on.
pub fn missing_bos(bos: Option<u32>, ids: &[u32]) -> Option<u32> {
    bos.filter(|bos| ids.first() != Some(bos))
}

#[cfg(test)]
mod tests {
    use super::missing_bos;

    #[test]
    fn a_sequence_that_begins_with_the_token_gets_no_second_one() {
        assert_eq!(missing_bos(Some(0), &[5, 0]), Some(0));
        assert_eq!(missing_bos(Some(0), &[]), Some(0));
        assert_eq!(missing_bos(Some(0), &[0, 5]), None);
        assert_eq!(missing_bos(None, &[5]), None);
    }
}
