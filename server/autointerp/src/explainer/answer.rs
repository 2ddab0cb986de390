//! Finds the explanation in an answer.

use latentd_domain::Reason;

use crate::{
    Failure, Reply,
    parse::{self, Said, objects},
    prompts::explain::MARKER,
};

/// What a revision begins with. What follows is the explanation.
const REVISIONS: [&str; 10] = [
    "correct explanation is",
    "correct answer is",
    "right explanation is",
    "right answer is",
    "better explanation is",
    "final explanation is",
    "final answer is",
    "revised explanation is",
    "correct answer:",
    "final answer:",
];

/// Headings over an explanation.
const HEADINGS: [&str; 4] = ["explanation", "final explanation", "final answer", "answer"];

/// An explanation that was found.
struct Found {
    /// Where it begins in the answer.
    at: usize,
    text: String,
    /// Something follows it, so that it is complete even where the answer is not.
    ended: bool,
}

/// The explanation in the answer to the only question.
pub(super) fn only(replies: &[Reply]) -> Result<String, Failure> {
    match replies {
        [reply] => explanation(reply),
        _ => Err(parse::wrong_kind("one answer")),
    }
}

/// The explanation in an answer: what follows the last marker, or all of an answer of one line that has none.
///
/// An answer of several lines without a marker may be anything, so it is a failure.
fn explanation(reply: &Reply) -> Result<String, Failure> {
    let said = parse::answer(reply)?;
    let text = without_fences(said.text);
    let found = [marked(&text), json(&text), revised(&text), headed(&text)]
        .into_iter()
        .flatten()
        .filter(|found| is_something(&found.text))
        .max_by_key(|found| found.at);
    match found {
        Some(found) if found.ended || !said.cut_off => Ok(tidy(&found.text)),
        Some(_) => Err(too_long(said)),
        None => one_line(&text)
            .filter(|text| !said.cut_off && is_something(text))
            .map(tidy)
            .ok_or_else(|| too_long(said)),
    }
}

/// Why there is no explanation.
fn too_long(said: Said<'_>) -> Failure {
    said.whole().err().unwrap_or_else(|| {
        let what = "the answer has no line that begins with [EXPLANATION]:";
        Failure::new(Reason::AnswerNotParsed, what)
    })
}

fn is_something(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// An answer without the lines that begin and end blocks of code.
fn without_fences(text: &str) -> String {
    let is_fence = |line: &&str| line.trim_start().starts_with("```");
    let lines: Vec<&str> = text.lines().filter(|line| !is_fence(line)).collect();
    lines.join("\n").trim().to_owned()
}

/// What follows the last marker. A marker at the beginning of a line goes before one in a sentence.
fn marked(text: &str) -> Option<Found> {
    // Letters keep their length, so that a place in one is the same in the other.
    let lower = text.to_ascii_lowercase();
    let marker = MARKER.to_ascii_lowercase();
    let without_colon = marker.trim_end_matches(':');
    let bare = without_colon.trim_matches(['[', ']']).to_owned() + ":";
    let found = |marker: &str, at_start: bool| {
        let places = lower.match_indices(marker).map(|(at, _)| at);
        let places = places.filter(|&at| !at_start || begins_line(&lower, at));
        places
            .filter_map(|at| paragraph(text, at + marker.len()))
            .filter(|found| is_something(&found.text))
            .last()
    };
    found(without_colon, true)
        .or_else(|| found(&bare, true))
        .or_else(|| found(without_colon, false))
        .or_else(|| found(&bare, false))
}

/// Whether nothing but decoration stands before `at` on its line.
fn begins_line(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    !line.contains(char::is_alphanumeric)
}

/// The text from `at` up to the next empty line: some models go on with texts of their own making.
fn paragraph(text: &str, at: usize) -> Option<Found> {
    let behind = text.get(at..)?;
    // What is right behind a marker is its own; bold words begin behind a space.
    let rest = behind.trim_start_matches(['*', '_', ':']).trim_start();
    let end = rest.find("\n\n").or_else(|| rest.find("\nText 1:"));
    Some(Found {
        at: at + behind.len() - rest.len(),
        text: rest.get(..end.unwrap_or(rest.len()))?.to_owned(),
        ended: end.is_some(),
    })
}

/// What follows the last words that take something back.
fn revised(text: &str) -> Option<Found> {
    let lower = text.to_ascii_lowercase();
    let places = REVISIONS.iter().flat_map(|words| {
        let places = lower.match_indices(words);
        places.map(|(at, _)| (at, at + words.len()))
    });
    // Words in quotes are what the latent fires on.
    let behind = places
        .filter(|(at, _)| !is_in_quotes(text, *at))
        .map(|(_, behind)| behind)
        .max()?;
    paragraph(text, behind)
}

fn is_in_quotes(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.matches(['"', '“', '”']).count() % 2 == 1
}

/// What stands under the last heading that says so.
fn headed(text: &str) -> Option<Found> {
    let mut at = 0;
    let mut behind = None;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let is_heading = line.starts_with(['#', '*', '_']);
        let words = line.trim_matches(|c: char| !c.is_alphanumeric());
        if is_heading && HEADINGS.contains(&words.to_ascii_lowercase().as_str()) {
            behind = Some(at);
        }
    }
    paragraph(text, behind?)
}

/// The field of the last object in JSON that has one.
fn json(text: &str) -> Option<Found> {
    objects(text).into_iter().rev().find_map(|object| {
        Some(Found {
            at: object.start,
            text: object.fields.get("explanation")?.as_str()?.to_owned(),
            ended: true,
        })
    })
}

/// All of an answer that is one line.
fn one_line(text: &str) -> Option<&str> {
    (text.lines().count() == 1 && !text.starts_with(['{', '['])).then_some(text)
}

/// Marks of lists, quotations and headings.
const BEFORE: [&str; 6] = ["- ", "• ", "> ", "# ", "## ", "### "];
/// Pairs of marks that some models put around all of it.
const AROUND: [(&str, &str); 8] = [
    ("\"", "\""),
    ("“", "”"),
    ("'", "'"),
    ("`", "`"),
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("_", "_"),
];

/// The explanation on one line, without what some models put around it or in it for show.
fn tidy(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = without_bold(&words.join(" "));
    let mut line = line.trim();
    while let Some(rest) = BEFORE.iter().find_map(|mark| line.strip_prefix(mark)) {
        line = rest.trim_start();
    }
    if line
        .strip_suffix("**")
        .is_some_and(|rest| !rest.contains("**"))
    {
        line = line.trim_end_matches('*').trim();
    }
    loop {
        let inner = AROUND.iter().find_map(|(open, close)| {
            let inner = line.strip_prefix(open)?.strip_suffix(close)?;
            // Marks of words in it are none around all of it.
            (is_something(inner) && !inner.contains(open) && !inner.contains(close))
                .then_some(inner)
        });
        match inner {
            Some(inner) => line = inner.trim(),
            None => return line.to_owned(),
        }
    }
}

/// A line without the marks of bold words. Marks that the latent fires on stand alone.
fn without_bold(line: &str) -> String {
    let mut parts = line.split("**");
    let mut out = parts.next().unwrap_or_default().to_owned();
    let rest: Vec<&str> = parts.collect();
    for pair in rest.chunks(2) {
        match pair {
            [inner, after] if is_something(inner) && *inner == inner.trim() => {
                out.extend([*inner, after]);
            }
            pair => pair.iter().for_each(|part| out.extend(["**", part])),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::call::Answer;

    fn reply(text: &str, cut_off: bool) -> Reply {
        Reply::Chat(Answer {
            text: text.to_owned(),
            cut_off,
            ..Answer::default()
        })
    }

    fn read(text: &str) -> Result<String, Reason> {
        explanation(&reply(text, false)).map_err(|failure| failure.reason)
    }

    #[test]
    fn every_form_is_read() {
        for text in [
            "[EXPLANATION]: Units of time.",
            "They are hours.\n\n[EXPLANATION]: Units of time.\n",
            "I think of [EXPLANATION]: first.\n[explanation]: Units\nof time.",
            "**[EXPLANATION]:** Units of time.",
            "**[EXPLANATION]:**\n\nUnits of time.",
            "**[EXPLANATION]: Units of time.**",
            "[EXPLANATION] Units of time.",
            "[EXPLANATION]: \"Units of time.\"",
            "[EXPLANATION]: “Units of time.”",
            "[EXPLANATION]: **Units** of time.",
            "### Explanation\n\nUnits of time.",
            "### [EXPLANATION]:\nUnits of time.",
            "**Explanation**\nUnits of time.",
            "Explanation: Units of time.\n\nText 1: a << new>> text",
            "{\"explanation\": \"Units of time.\"}",
            "```json\n{\"explanation\": \"Units of time.\"}\n```",
            "```\n[EXPLANATION]: Units of time.\n```",
            "```\nUnits of time.\n```",
            "Units of time.",
            "**Units of time.**",
            "- Units of time.",
            "<think>\nMaybe [EXPLANATION]: letters? No.\n</think>\n\n[EXPLANATION]: Units of time.",
            "<think></think>Units of time.",
            "letters?</think>Units of time.",
            "<think>a</think><answer>Units of time.</answer>",
            "<|channel|>analysis<|message|>[EXPLANATION]: letters<|end|><|start|>assistant<|channel|>final<|message|>[EXPLANATION]: Units of time.<|return|>",
        ] {
            assert_eq!(read(text).as_deref(), Ok("Units of time."), "{text}");
        }
        assert_eq!(
            read("[EXPLANATION]: The token \"er\"").as_deref(),
            Ok("The token \"er\"")
        );
        assert_eq!(
            read("[EXPLANATION]: \"a\" or \"b\"").as_deref(),
            Ok("\"a\" or \"b\"")
        );
        assert_eq!(
            read("The marks ** and ** in code").as_deref(),
            Ok("The marks ** and ** in code")
        );
    }

    #[test]
    fn the_last_complete_explanation_counts() {
        for text in [
            "[EXPLANATION]: Letters.\n\nOn reflection:\n[EXPLANATION]: Units of time.",
            "[EXPLANATION]: Units of time.\n\nNote: I did not write [EXPLANATION]: anything else.",
            "My first answer: letters. On reflection, the correct answer is: Units of time.",
            "[EXPLANATION]: Letters. No, the correct explanation is: Units of time.",
            "{\"explanation\": \"Letters.\"}\nWait.\n{\"explanation\": \"Units of time.\"}",
            "{\"explanation\": \"Letters.\"}\n\n[EXPLANATION]: Units of time.",
            "[EXPLANATION]: Units of time.\n\n[EXPLANATION]:",
        ] {
            assert_eq!(read(text).as_deref(), Ok("Units of time."), "{text}");
        }
        let quiz = "The words \"the correct answer is\" in quizzes.";
        assert_eq!(read(quiz).as_deref(), Ok(quiz));
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "  \n",
            "[EXPLANATION]:",
            "Some\nthoughts\nof mine",
            "[EXPLANATION]: ...",
            "{}",
        ] {
            assert_eq!(read(text), Err(Reason::AnswerNotParsed), "{text}");
        }
    }

    #[test]
    fn what_was_declined_or_cut_off_is_no_explanation() {
        let reason = |reply| explanation(&reply).unwrap_err().reason;
        for text in [
            "Units of",
            "[EXPLANATION]: Units of",
            "Let me think.\nThe",
            "<think>\nThe",
        ] {
            assert_eq!(reason(reply(text, true)), Reason::AnswerCutOff, "{text}");
        }
        assert_eq!(reason(reply("<think>\nThe", false)), Reason::AnswerCutOff);
        // It is complete where something follows it.
        let on = "[EXPLANATION]: Units of time.\n\nText 1: a << new";
        assert_eq!(
            explanation(&reply(on, true)).as_deref(),
            Ok("Units of time.")
        );
        let declined = Reply::Chat(Answer {
            refusal: true,
            ..Answer::default()
        });
        assert_eq!(reason(declined), Reason::AnswerRefused);
        assert_eq!(
            reason(Reply::Embed(Vec::new())),
            Reason::ProviderMalformedReply
        );
    }

    proptest! {
        #[test]
        fn whatever_was_thought_before_changes_nothing(
            thought in "(?s)[\\[\\]{}EXPLANATION: a-z.\\n]{0,60}",
            open in any::<bool>(),
        ) {
            let open = if open { "<think>" } else { "" };
            let text = format!("{open}{thought}</think>[EXPLANATION]: Units of time.");
            prop_assert_eq!(read(&text), Ok("Units of time.".to_owned()));
        }
    }
}
