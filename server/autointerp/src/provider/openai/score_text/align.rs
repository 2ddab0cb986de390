//! Where tokens lie in a text, when only their texts are known.

/// What stands in a token's text for bytes that are no whole character.
const BROKEN: char = '\u{fffd}';

/// Finds the last of `pieces` that make up `text`, which ends where they end: the index of the first of them, and the byte of
/// `text` at which each begins. `None` if they are not the tokens of the text.
///
/// A piece that begins before the text belongs to what comes before, and is left out. Characters that are split over several
/// tokens have no whole pieces; all parts are said to begin where the character begins.
pub(super) fn align(pieces: &[&str], text: &str) -> Option<(usize, Vec<usize>)> {
    let mut offsets = Vec::new();
    let mut rest = text.len();
    let mut broken = 0;
    for (index, piece) in pieces.iter().enumerate().rev() {
        let head = text.get(..rest)?;
        if head.is_empty() {
            return Some((index + 1, turned(offsets)));
        }
        if piece.is_empty() || piece.contains(BROKEN) {
            broken += 1;
            continue;
        }
        let end = ending(head, piece, broken);
        if let Some(end) = end {
            offsets.extend(std::iter::repeat_n(end, broken));
            broken = 0;
            rest = end - piece.len();
            offsets.push(rest);
        } else if broken == 0 && piece.ends_with(head) {
            return Some((index + 1, turned(offsets)));
        } else if broken > 0 {
            // The text begins with a split character.
            offsets.extend(std::iter::repeat_n(0, broken));
            return Some((index + 1, turned(offsets)));
        } else {
            return None;
        }
    }
    offsets.extend(std::iter::repeat_n(0, broken));
    (rest == 0 || broken > 0).then(|| (0, turned(offsets)))
}

/// Where `piece` ends in `head`: at its end, or before the characters that `broken` parts stand for.
fn ending(head: &str, piece: &str, broken: usize) -> Option<usize> {
    if broken == 0 {
        return head.ends_with(piece).then_some(head.len());
    }
    // A part is a byte or more of a character; a space before it may be in it.
    let longest = broken * 5;
    head.char_indices()
        .rev()
        .map(|(at, _)| at)
        .take_while(|at| head.len() - at <= longest)
        .find(|&at| head.get(..at).is_some_and(|head| head.ends_with(piece)))
}

fn turned(mut offsets: Vec<usize>) -> Vec<usize> {
    offsets.reverse();
    offsets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::align;

    #[test]
    fn the_context_is_left_out() {
        let pieces = ["<s>", "One", " two", " three", " four"];
        assert_eq!(align(&pieces, " three four"), Some((3, vec![0, 6])));
        assert_eq!(align(&pieces, "wo three four"), Some((3, vec![2, 8])));
        assert_eq!(align(&pieces, ""), Some((5, vec![])));
    }

    #[test]
    fn other_texts_have_other_tokens() {
        assert_eq!(align(&["One", " two"], " three"), None);
        assert_eq!(align(&["two"], "One two"), None);
    }

    #[test]
    fn split_characters_begin_where_they_begin() {
        let pieces = ["a", " ", "\u{fffd}", "", "\u{fffd}", " b"];
        assert_eq!(align(&pieces, " 🙂 b"), Some((1, vec![0, 1, 1, 1, 5])));
        let pieces = ["a", "\u{fffd}", "\u{fffd}", "b"];
        assert_eq!(align(&pieces, "éb"), Some((1, vec![0, 0, 2])));
    }

    proptest! {
        #[test]
        fn pieces_of_a_text_are_found(context in prop::collection::vec("[a-z ]{1,4}", 0..4),
                                      text in prop::collection::vec("[a-zé🙂\t]{1,4}", 0..6)) {
            let pieces: Vec<&str> = context.iter().chain(&text).map(String::as_str).collect();
            let (first, offsets) = align(&pieces, &text.concat()).unwrap();
            prop_assert_eq!(first, context.len());
            let mut at = 0;
            for (piece, offset) in text.iter().zip(offsets) {
                prop_assert_eq!(offset, at);
                at += piece.len();
            }
        }
    }
}
