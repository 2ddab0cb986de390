//! The words on which a latent is strongest: one for each example.

use std::collections::HashMap;

use crate::Shown;

/// A word, with the examples that have it at their peak.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// The word as it is spelled most often.
    pub(super) text: String,
    /// How many examples have it at their peak, in any case of its letters.
    pub(super) count: usize,
    /// The highest activation on it.
    pub(super) peak: f32,
}

/// The words at the peaks of examples, each once: most frequent first, and of equal ones the strongest first.
pub(super) fn at_peaks(examples: &[Shown]) -> Vec<Word> {
    let mut found: Vec<(String, Vec<String>, f32)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for shown in examples {
        let Some(text) = at_peak(shown) else { continue };
        let place = *places.entry(text.to_lowercase()).or_insert(found.len());
        match found.get_mut(place) {
            Some((_, spellings, peak)) => {
                spellings.push(text);
                *peak = peak.max(shown.peak());
            }
            None => found.push((text.clone(), vec![text], shown.peak())),
        }
    }
    let mut words: Vec<Word> = found
        .into_iter()
        .map(|(first, spellings, peak)| Word {
            text: most_frequent(&spellings).unwrap_or(first),
            count: spellings.len(),
            peak,
        })
        .collect();
    words.sort_by(|a, b| b.count.cmp(&a.count).then(b.peak.total_cmp(&a.peak)));
    words
}

/// The spelling that is there most often; of equal ones the first.
fn most_frequent(spellings: &[String]) -> Option<String> {
    let count = |text: &String| spellings.iter().filter(|other| *other == text).count();
    let best = spellings.iter().rev().max_by_key(|text| count(text));
    best.cloned()
}

/// The word around the strongest token of an example: with the tokens beside it that are parts of the same word.
fn at_peak(shown: &Shown) -> Option<String> {
    let peak = shown.peak();
    let at = shown
        .activations
        .iter()
        .position(|&a| a == peak && a > 0.0)?;
    let token = |at: usize| shown.tokens.get(at).map(String::as_str);
    let joined = |left: usize, right: usize| {
        let (left, right) = (
            token(left)?.chars().next_back()?,
            token(right)?.chars().next()?,
        );
        (is_of_word(left) && is_of_word(right)).then_some(())
    };
    let (mut first, mut last) = (at, at);
    while first > 0 && joined(first - 1, first).is_some() {
        first -= 1;
    }
    while joined(last, last + 1).is_some() {
        last += 1;
    }
    let whole = shown.tokens.get(first..=last)?.concat();
    let trimmed = whole.trim();
    let bare = trimmed.trim_matches(|c: char| !is_of_word(c));
    let text = match (bare.is_empty(), trimmed.is_empty()) {
        (false, _) => bare.to_owned(),
        (true, false) => trimmed.to_owned(),
        (true, true) => whole.escape_debug().to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// Whether a character may stand within a word.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '_')
}

#[cfg(test)]
pub(super) mod tests {
    use latentd_domain::autointerp::ExampleId;

    use super::*;

    /// An example of tokens, of which those with a number fire.
    pub(in crate::explainer) fn shown(tokens: &[(&str, f32)]) -> Shown {
        Shown {
            id: ExampleId {
                row: 0,
                start: 0,
                len: tokens.len() as u32,
            },
            tokens: tokens.iter().map(|(text, _)| (*text).to_owned()).collect(),
            activations: tokens.iter().map(|(_, value)| *value).collect(),
            quantile: Some(0),
            non_activating: None,
        }
    }

    #[test]
    fn a_word_is_whole() {
        let word = |tokens: &[(&str, f32)]| at_peak(&shown(tokens));
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(
            word(&[(" on", 0.0), (" Mon", 2.0), ("day", 1.0), (",", 0.0)]),
            of("Monday")
        );
        assert_eq!(
            word(&[(" Mon", 1.0), ("day", 2.0), (" it", 0.0)]),
            of("Monday")
        );
        assert_eq!(word(&[(" don", 0.0), ("'t", 2.0)]), of("don't"));
        assert_eq!(word(&[(" a", 0.0), (".\"", 2.0), (" b", 0.0)]), of(".\""));
        assert_eq!(word(&[("a", 0.0), ("\n\n", 2.0)]), of("\\n\\n"));
        assert_eq!(word(&[("a", 0.0)]), None);
    }

    #[test]
    fn words_are_counted_in_any_case() {
        let one = |text: &str, value: f32| shown(&[(" the", 0.0), (text, value)]);
        let examples = [
            one(" tax", 5.0),
            one(" levy", 4.0),
            one(" Tax", 3.0),
            one(" tax", 2.0),
            one(" duty", 6.0),
        ];
        let words = at_peaks(&examples);
        let words: Vec<(&str, usize)> =
            words.iter().map(|word| (&*word.text, word.count)).collect();
        assert_eq!(words, [("tax", 3), ("duty", 1), ("levy", 1)]);
    }
}
