//! Long texts, piece by piece: the `tokenizers` crate takes some 150 bytes of memory for each byte of text and cannot be
//! stopped, so that a text of 60 MB at once would take 9 GB and a minute.
//!
//! The pieces together must have the tokens of the whole. That is certain where the text is cut between a letter and a space, or
//! between an ideograph and a punctuation mark of its script, and the tokenizer is of a kind that always splits there before
//! merging. Other tokenizers get the whole text, and refuse one that is very long.

use serde_json::Value;

use super::gguf::split;

/// Bytes of text after which the next place to cut is taken.
pub(super) const PIECE: usize = 32 << 10;

/// Most bytes that are given to the tokenizer at once: a piece without a place to cut it, or a whole text that must not be cut.
pub(super) const LARGEST: usize = 8 << 20;

/// Whether a tokenizer, given as its `tokenizer.json`, splits every text between a letter and a space, whatever stands around.
pub(super) fn can_cut(definition: &Value) -> bool {
    let model = definition.pointer("/model/type").and_then(Value::as_str);
    let normalizer = definition.get("normalizer");
    let pre_tokenizer = definition.get("pre_tokenizer");
    let added = definition.get("added_tokens").and_then(Value::as_array);
    // Files from before the type was written are of BPE if they have merges.
    let is_bpe =
        model == Some("BPE") || (model.is_none() && definition.pointer("/model/merges").is_some());
    is_bpe
        && no_affixes(definition)
        && normalizer.is_none_or(is_local)
        && pre_tokenizer.is_some_and(splits)
        && added.is_none_or(|tokens| tokens.iter().all(stays_whole))
}

/// Neither adds anything to the beginning or end of each word.
fn no_affixes(definition: &Value) -> bool {
    ["continuing_subword_prefix", "end_of_word_suffix"]
        .into_iter()
        .all(|key| match definition.pointer(&format!("/model/{key}")) {
            None | Some(Value::Null) => true,
            Some(value) => value.as_str() == Some(""),
        })
}

/// A normaliser that changes characters by themselves, or with the marks that follow them.
fn is_local(normalizer: &Value) -> bool {
    if normalizer.is_null() {
        return true;
    }
    match kind(normalizer) {
        Some("NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase") => true,
        Some("Sequence") => {
            parts(normalizer, "normalizers").is_some_and(|parts| parts.iter().all(is_local))
        }
        _ => false,
    }
}

/// A pre-tokenizer that always splits between a letter and a space: one of those whose patterns are known.
fn splits(pre_tokenizer: &Value) -> bool {
    match kind(pre_tokenizer) {
        Some("Sequence") => parts(pre_tokenizer, "pretokenizers")
            .is_some_and(|parts| parts.iter().all(keeps_places) && parts.iter().any(splits)),
        Some("ByteLevel") => keeps_places(pre_tokenizer) && flag(pre_tokenizer, "use_regex", true),
        Some("Split") => {
            let pattern = pre_tokenizer
                .pointer("/pattern/Regex")
                .and_then(Value::as_str);
            pattern.is_some_and(split::ends_words_at_spaces) && keeps_places(pre_tokenizer)
        }
        _ => false,
    }
}

/// A step that splits by what stands near, and adds nothing.
fn keeps_places(step: &Value) -> bool {
    match kind(step) {
        Some("Digits") => true,
        Some("ByteLevel") => !flag(step, "add_prefix_space", true),
        Some("Split") => {
            let pattern = step.pointer("/pattern/Regex").and_then(Value::as_str);
            let isolated = step.get("behavior").and_then(Value::as_str) == Some("Isolated");
            isolated
                && !flag(step, "invert", false)
                && pattern.is_some_and(|pattern| {
                    split::ends_words_at_spaces(pattern) || split::is_of_no_letters(pattern)
                })
        }
        _ => false,
    }
}

/// An added token that no cut can divide, and that takes nothing from its surroundings.
fn stays_whole(token: &Value) -> bool {
    let content = token
        .get("content")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let strips = flag(token, "lstrip", false) || flag(token, "rstrip", false);
    !strips && places(content).next().is_none()
}

fn kind(value: &Value) -> Option<&str> {
    value.get("type").and_then(Value::as_str)
}

fn parts<'a>(value: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array)
}

fn flag(value: &Value, key: &str, default: bool) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(default)
}

/// Places at which a text may be cut, as byte offsets.
fn places(text: &str) -> impl Iterator<Item = usize> {
    let following = text.char_indices().skip(1);
    text.chars()
        .zip(following)
        .filter(|&(before, (_, after))| {
            let word = after == ' ' && before.is_alphabetic();
            word || (is_punctuation(after) && is_ideograph(before))
        })
        .map(|(_, (at, _))| at)
}

/// The usual ideographs and the syllables of Japanese and Korean: all of them letters.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}')
}

/// Punctuation after which ideographs go on.
fn is_punctuation(character: char) -> bool {
    matches!(character, '、' | '。' | '，' | '！' | '？' | '；' | '：')
}

/// The pieces of a text with their offsets; one piece, where it must not be cut.
pub(super) fn of(text: &str, can_cut: bool) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text
            .get(start..)
            .filter(|rest| !rest.is_empty() || start == 0)?;
        let cut = if can_cut && rest.len() > PIECE {
            let from = rest.ceil_char_boundary(PIECE);
            let place = rest.get(from..).and_then(|late| places(late).next());
            place.map_or(rest.len(), |place| from + place)
        } else {
            rest.len()
        };
        let piece = (start, rest.get(..cut)?);
        // One past the end once the text is used up, also where it is empty.
        start += cut.max(1);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_tile_the_text() {
        let long = "naïve words and 漢字，".repeat(20_000);
        for text in ["", "a", "short text", &long, &"x".repeat(100_000)] {
            for can_cut in [true, false] {
                let mut end = 0;
                for (start, piece) in of(text, can_cut) {
                    assert_eq!(start, end);
                    assert_eq!(text.get(start..start + piece.len()), Some(piece));
                    end += piece.len();
                }
                assert_eq!(end, text.len());
            }
        }
        assert!(of(&long, true).count() > 10);
        assert!(of(&long, true).all(|(_, piece)| piece.len() < PIECE + 100));
        assert_eq!(of(&long, false).count(), 1);
        assert_eq!(of("", true).count(), 1);
    }

    #[test]
    fn cuts_lie_before_spaces_behind_letters() {
        let cuts = |text: &str| places(text).collect::<Vec<_>>();
        assert_eq!(cuts("ab c  d. e\tf 1 g"), [2, 4, 12]);
        assert_eq!(cuts("漢字，かな。"), [6, 15]);
        assert!(cuts("x，!，").is_empty());
    }
}
