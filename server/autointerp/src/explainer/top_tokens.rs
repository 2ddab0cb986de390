//! The words at the peaks of the examples, with their share of them, and the tokens that the latent promotes. No language model
//! is asked: what it writes is a baseline for those that are.

use super::{
    Explainer, Question, train,
    words::{self, Word},
};
use crate::{Failure, Reply, Skip, Subject};

/// Words that are named, at most.
const MOST: usize = 8;
/// Promoted tokens that are named, at most.
const MOST_PROMOTED: usize = 5;

#[derive(Debug)]
pub(super) struct TopTokens;

impl Explainer for TopTokens {
    fn prompt_version(&self) -> &'static str {
        "top_tokens/1"
    }

    fn plan(&self, subject: &Subject) -> Result<Question, Skip> {
        let shown = train(subject)?;
        Ok(Question {
            calls: Vec::new(),
            shown: shown.iter().map(|shown| shown.id).collect(),
        })
    }

    fn read(&self, subject: &Subject, _replies: &[Reply]) -> Result<String, Failure> {
        let words = words::at_peaks(&subject.train);
        let mut text = list(&words, subject.train.len());
        let promoted = promoted(&subject.promoted);
        if !promoted.is_empty() {
            text.push_str("; promotes ");
            text.push_str(&promoted.join(", "));
        }
        Ok(text)
    }
}

/// The words, each with its share: those that are there once are left out where others are more frequent.
fn list(words: &[Word], of: usize) -> String {
    let repeated = words.iter().filter(|word| word.count > 1).count();
    let shown = if repeated > 1 { repeated } else { words.len() };
    let share = |word: &Word| 100.0 * word.count as f64 / of.max(1) as f64;
    let named: Vec<String> = words
        .iter()
        .take(shown.min(MOST))
        .map(|word| format!("{} ({:.0} %)", word.text, share(word)))
        .collect();
    named.join(", ")
}

/// Promoted tokens that are words or parts of words, each once in any case of its letters.
fn promoted(tokens: &[String]) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for token in tokens {
        let token = token.trim();
        let known = |other: &String| other.to_lowercase() == token.to_lowercase();
        if token.chars().all(char::is_alphabetic) && !token.is_empty() && !named.iter().any(known) {
            named.push(token.to_owned());
        }
    }
    named.truncate(MOST_PROMOTED);
    named
}

#[cfg(test)]
mod tests {
    use super::{super::words::tests::shown, *};
    use crate::tests::world;

    #[test]
    fn words_have_their_share() {
        let one = |text: &str, value: f32| shown(&[(" on", 0.0), (text, value)]);
        let mut subject = world::subject(0, 1, 1);
        subject.train = vec![
            one(" Monday", 5.0),
            one(" Friday", 4.0),
            one(" Monday", 3.0),
            one(" Friday", 2.0),
            one(" noon", 1.0),
        ];
        subject.promoted = [" night", "Night", "<|im_end|>", " morning"]
            .map(str::to_owned)
            .into();
        let text = TopTokens.read(&subject, &[]).unwrap();
        assert_eq!(
            text,
            "Monday (40 %), Friday (40 %); promotes night, morning"
        );
        subject.promoted.clear();
        subject.train.truncate(2);
        let text = TopTokens.read(&subject, &[]).unwrap();
        assert_eq!(text, "Monday (50 %), Friday (50 %)");
    }
}
