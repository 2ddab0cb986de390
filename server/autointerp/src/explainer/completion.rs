//! Words at the peaks of the strongest examples, for a model that continues text to name their theme: for base and small models,
//! which follow a pattern and no instructions.
//!
//! The page shows lists of words with their themes, and ends with the latent's. It is written in several orders, and each gives a
//! label. The label is taken that the words make likelier than other words do: log p(label | words) − log p(label | other
//! words), which is what tells a theme of these words from one that the model says of anything.

use latentd_domain::Reason;

use super::{
    Explainer, Question, train,
    words::{self, Word},
};
use crate::{
    Call, Failure, Reply, ScoreText, Skip, Subject,
    call::{Complete, Context, TokenLogprob},
    parse,
    prompts::complete::{NEUTRAL, ORDERS, page},
};

/// Examples whose words are shown, at most.
const EXAMPLES: usize = 20;
/// Words that are shown, at most.
const WORDS: usize = 8;
/// What is left of the gain of a label that is one of the words: behind a word the same word is always likely.
const ONE_OF: f64 = 0.7;
/// Share of the examples from which on a word may stand for all of them.
const MANY: f64 = 0.4;
/// Longest label, in tokens.
const MAX_TOKENS: u32 = 12;

#[derive(Debug)]
pub(super) struct Completion;

impl Explainer for Completion {
    fn prompt_version(&self) -> &'static str {
        "completion/1"
    }

    fn plan(&self, subject: &Subject) -> Result<Question, Skip> {
        let shown = train(subject)?;
        let shown = shown.get(..EXAMPLES).unwrap_or(shown);
        let words = texts(&named(subject));
        let call = |order| {
            Call::Complete(Complete {
                prompt: page(order, &words),
                stop: "\n".to_owned(),
                temperature: 0.0,
                max_tokens: MAX_TOKENS,
                seed: subject.seed,
            })
        };
        Ok(Question {
            calls: (0..ORDERS).map(call).collect(),
            shown: shown.iter().map(|shown| shown.id).collect(),
        })
    }

    fn then(&self, subject: &Subject, replies: &[Reply]) -> Result<Vec<Call>, Failure> {
        let words = texts(&named(subject));
        let neutral = NEUTRAL.map(str::to_owned);
        let mut calls = Vec::new();
        for label in labels(replies)? {
            for words in [&words[..], &neutral] {
                calls.push(Call::ScoreText(ScoreText {
                    context: Context::Text(page(0, words)),
                    text: format!(" {label}"),
                    top: 0,
                }));
            }
        }
        Ok(calls)
    }

    fn read(&self, subject: &Subject, replies: &[Reply]) -> Result<String, Failure> {
        let (said, scored) = replies.split_at_checked(ORDERS).unwrap_or((replies, &[]));
        let labels = labels(said)?;
        let words = named(subject);
        let mut best: Option<(f64, String)> = None;
        for (label, scores) in labels.into_iter().zip(scored.chunks(2)) {
            let [with, without] = scores else {
                return Err(parse::wrong_kind("log-probabilities of a label"));
            };
            let gain = logprob(with)? - logprob(without)?;
            let worth = if is_one_of(&label, &words) {
                gain * ONE_OF
            } else {
                gain
            };
            if best.as_ref().is_none_or(|(most, _)| worth > *most) {
                best = Some((worth, label));
            }
        }
        best.map(|(_, label)| label)
            .ok_or_else(|| parse::wrong_kind("log-probabilities of each label"))
    }
}

/// The words that are shown, most frequent first.
fn named(subject: &Subject) -> Vec<Word> {
    let shown = subject.train.get(..EXAMPLES).unwrap_or(&subject.train);
    let mut words = words::at_peaks(shown);
    words.truncate(WORDS);
    words
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.text.clone()).collect()
}

/// Whether a label is one of the words again, and they are mostly others: no theme of them all.
fn is_one_of(label: &str, words: &[Word]) -> bool {
    let label = label.to_lowercase();
    let alike = |word: &&Word| begin_alike(&word.text.to_lowercase(), &label);
    let count =
        |words: &mut dyn Iterator<Item = &Word>| words.map(|word| word.count).sum::<usize>();
    let of_label = count(&mut words.iter().filter(alike));
    let all = count(&mut words.iter());
    words.iter().any(|word| word.text.to_lowercase() == label)
        && (of_label as f64) < MANY * all as f64
}

/// Whether two words are forms of one: they begin alike, but for their endings.
fn begin_alike(a: &str, b: &str) -> bool {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let shorter = a.chars().count().min(b.chars().count());
    same >= 3 && same + 1 >= shorter
}

/// The labels that were said, each once in any case of its letters; at least one.
fn labels(replies: &[Reply]) -> Result<Vec<String>, Failure> {
    let (mut labels, mut lists) = (Vec::new(), Vec::new());
    for reply in replies {
        let Reply::Complete(text) = reply else {
            return Err(parse::wrong_kind("the continuation of a text"));
        };
        let label = tidy(text);
        match label.split_once(',') {
            // A list says the words again. Its first word is taken where nothing better was said.
            Some((first, _)) => keep(&mut lists, first.to_owned()),
            None if says_twice(&label) => keep(&mut lists, label),
            None => keep(&mut labels, label),
        }
    }
    if labels.is_empty() {
        labels = lists;
    }
    if labels.is_empty() {
        let what = "the model named no theme: it continued the page with an empty line";
        return Err(Failure::new(Reason::AnswerNotParsed, what));
    }
    Ok(labels)
}

/// Keeps a label that says something new.
fn keep(labels: &mut Vec<String>, label: String) {
    let known = |other: &String| other.to_lowercase() == label.to_lowercase();
    if label.chars().any(char::is_alphanumeric) && !labels.iter().any(known) {
        labels.push(label);
    }
}

/// Whether a label says a word twice, as small models do: `leaders and leaders`.
fn says_twice(label: &str) -> bool {
    let words: Vec<String> = label.split_whitespace().map(str::to_lowercase).collect();
    let again = |(at, word): (usize, &String)| {
        word.len() > 3 && words.iter().skip(at + 1).any(|other| other == word)
    };
    words.iter().enumerate().any(again)
}

/// A label on one line, without a full stop.
fn tidy(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.trim_end_matches(['.', ',', ';', ':', ' ']).to_owned()
}

/// The log-probability of all tokens of a text.
fn logprob(reply: &Reply) -> Result<f64, Failure> {
    let sum = |tokens: &[TokenLogprob]| {
        let each = tokens.iter().map(|token| f64::from(token.logprob));
        each.sum::<f64>()
    };
    match reply {
        Reply::ScoreText(tokens) if !tokens.is_empty() => Ok(sum(tokens)),
        Reply::ScoreText(_) | Reply::Chat(_) | Reply::Complete(_) | Reply::Embed(_) => {
            Err(parse::wrong_kind("log-probabilities of a label"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::words::tests::shown, *};
    use crate::tests::world;

    fn scored(logprob: f32) -> Reply {
        Reply::ScoreText(vec![TokenLogprob {
            token: " a".to_owned(),
            offset: 0,
            logprob,
            top: Vec::new(),
        }])
    }

    #[test]
    fn the_label_that_the_words_make_likelier_is_taken() {
        let subject = world::subject(0, 3, 1);
        let said = ["words", " Animals.", "animals", "zebra, violin"];
        let mut replies: Vec<Reply> = said
            .iter()
            .map(|text| Reply::Complete((*text).to_owned()))
            .collect();
        let then = Completion.then(&subject, &replies).unwrap();
        assert_eq!(
            then.len(),
            4,
            "two labels, behind these words and behind others"
        );
        // "words" is likelier, and as likely behind other words.
        replies.extend([-1.0, -1.0, -4.0, -9.0].map(scored));
        assert_eq!(Completion.read(&subject, &replies).unwrap(), "Animals");
        // One of the words says nothing of the others, however likely it is.
        let mut subject = subject;
        let days = ["Monday", "Tuesday", "Friday"].map(|day| shown(&[(day, 5.0)]));
        subject.train = days.to_vec();
        let said = ["Monday", "days of the week", "Monday", "weeks and weeks"];
        let mut replies: Vec<Reply> = said
            .iter()
            .map(|text| Reply::Complete((*text).to_owned()))
            .collect();
        replies.extend([-1.0, -10.0, -2.0, -9.0].map(scored));
        let label = Completion.read(&subject, &replies).unwrap();
        assert_eq!(label, "days of the week");
        let rising = ["rise", "rising", "Rises", "lift"].map(|word| shown(&[(word, 5.0)]));
        subject.train = rising.to_vec();
        let said = ["rising", "religion", "", ""];
        let mut replies: Vec<Reply> = said
            .iter()
            .map(|text| Reply::Complete((*text).to_owned()))
            .collect();
        replies.extend([-1.0, -10.0, -2.0, -9.0].map(scored));
        assert_eq!(Completion.read(&subject, &replies).unwrap(), "rising");
        // Where all that was said are lists, it is better than nothing.
        let list = vec![Reply::Complete("rise, rising, lift".to_owned()); 4];
        assert_eq!(Completion.then(&subject, &list).unwrap().len(), 2);
        let none = vec![Reply::Complete(String::new()); 4];
        let failure = Completion.then(&subject, &none).unwrap_err();
        assert_eq!(failure.reason, Reason::AnswerNotParsed);
    }
}
