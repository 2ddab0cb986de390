//! The texts of tokens that stand in a row: a character that several tokens spell belongs to the one that completes it.
//!
//! The texts joined are the text of all tokens together, as transformers decodes them. So the texts of a front are the front of
//! the text, and whatever is put around the text of a token stands between characters.

/// How many U+FFFD stand for bytes that are no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// One for what could be the beginning of a character, on the last of its tokens: decoders of byte-level tokenizers.
    Together,
    /// One for each byte: sentencepiece.
    EachByte,
}

/// The text of each piece; empty where a character goes on in a later one.
pub(super) fn texts<'a>(pieces: impl Iterator<Item = &'a [u8]>, broken: Broken) -> Vec<String> {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for piece in pieces {
        bytes.extend_from_slice(piece);
        ends.push(bytes.len());
    }
    let mut out = Texts {
        pieces: vec![String::new(); ends.len()],
        ends,
        at: 0,
        current: 0,
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            out.push(character.len_utf8(), character);
        }
        match (chunk.invalid().len(), broken) {
            (0, _) => {}
            (length, Broken::Together) => out.push(length, char::REPLACEMENT_CHARACTER),
            (length, Broken::EachByte) => {
                (0..length).for_each(|_| out.push(1, char::REPLACEMENT_CHARACTER));
            }
        }
    }
    out.pieces
}

struct Texts {
    pieces: Vec<String>,
    ends: Vec<usize>,
    at: usize,
    current: usize,
}

impl Texts {
    /// The next character, which takes up `length` bytes.
    fn push(&mut self, length: usize, character: char) {
        self.at += length;
        while self
            .ends
            .get(self.current)
            .is_some_and(|&end| end < self.at)
        {
            self.current += 1;
        }
        if let Some(text) = self.pieces.get_mut(self.current) {
            text.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn of(pieces: &[&[u8]], broken: Broken) -> Vec<String> {
        texts(pieces.iter().copied(), broken)
    }

    #[test]
    fn a_character_belongs_to_the_token_that_completes_it() {
        let party = "🎉".as_bytes();
        let pieces = [b" a" as &[u8], &party[..1], &party[1..3], &party[3..], b"!"];
        assert_eq!(of(&pieces, Broken::Together), [" a", "", "", "🎉", "!"]);
        // A token may end one character and begin another.
        let pieces = [
            &[b' ', party[0]] as &[u8],
            &[party[1], party[2], party[3], b'!', party[0]],
            &party[1..],
        ];
        assert_eq!(of(&pieces, Broken::Together), [" ", "🎉!", "🎉"]);
    }

    #[test]
    fn half_characters_are_replaced_where_they_end() {
        let party = "🎉".as_bytes();
        let cut = [&party[..1], &party[1..2], &party[2..3]];
        assert_eq!(of(&cut, Broken::Together), ["", "", "\u{fffd}"]);
        assert_eq!(of(&cut, Broken::EachByte), ["\u{fffd}"; 3]);
        let rest = [&party[2..3], &party[3..], b"x"];
        assert_eq!(of(&rest, Broken::Together), ["\u{fffd}", "\u{fffd}", "x"]);
        let between = [b"a" as &[u8], &party[..2], b"b"];
        assert_eq!(of(&between, Broken::Together), ["a", "\u{fffd}", "b"]);
        assert_eq!(of(&[], Broken::Together), Vec::<String>::new());
        assert_eq!(of(&[b""], Broken::Together), [""]);
    }

    proptest! {
        #[test]
        fn joined_they_are_the_text(text in "[a-c é漢🎉\u{200d}]{0,12}", cuts in vec(0..40_usize, 0..8)) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            for broken in [Broken::Together, Broken::EachByte] {
                prop_assert_eq!(of(&pieces, broken).concat(), text.clone());
            }
            // A front of the tokens shows a front of the text.
            let front = of(&pieces[..pieces.len() / 2], Broken::Together).concat();
            let whole = front.trim_end_matches(char::REPLACEMENT_CHARACTER);
            prop_assert!(text.starts_with(whole));
        }

        #[test]
        fn any_bytes_are_decoded_as_ever(pieces in vec(vec(any::<u8>(), 0..4), 0..8)) {
            let joined = of(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>(), Broken::Together);
            prop_assert_eq!(joined.len(), pieces.len());
            let bytes = pieces.concat();
            prop_assert_eq!(joined.concat(), String::from_utf8_lossy(&bytes));
        }
    }
}
