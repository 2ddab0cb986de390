//! Answers of yes and no.

use serde_json::Value;

use super::{
    Said,
    lines::lines,
    lists::{List, last_of, lists},
    not_parsed, wrong_count,
};
use crate::Failure;

/// The `asked` answers that were said: the last list of that many, where there are several.
pub(crate) fn answers(said: Said<'_>, asked: usize) -> Result<Vec<bool>, Failure> {
    let (text, went_on) = before_more_texts(said.text, asked);
    if !went_on {
        said.whole()?;
    }
    let found = found(text);
    let other = found.last().map(|list| list.values.len());
    if let Some(list) = last_of(text, found, asked) {
        return Ok(list);
    }
    match (bare(text, asked), other) {
        (Some(list), None) if list.len() == asked => Ok(list),
        (Some(list), None) => Err(wrong_count(list.len(), asked)),
        (_, Some(other)) => Err(wrong_count(other, asked)),
        (None, None) => Err(not_parsed(text)),
    }
}

/// Every list of answers. Lines count where there is no list, or behind the last one.
fn found(text: &str) -> Vec<List<bool>> {
    let mut found = lists(text, &value);
    let behind = found.last().map_or(0, |list| list.at.end);
    found.extend(
        lines(text)
            .into_iter()
            .filter(|list| list.at.start >= behind),
    );
    found
}

/// A text up to where a model that goes on writes a question of its own, behind its answer: an explanation, and texts.
fn before_more_texts(text: &str, asked: usize) -> (&str, bool) {
    let all = || (text, false);
    let complete = found(text)
        .into_iter()
        .find(|list| list.values.len() == asked);
    let Some(from) = complete.map(|list| list.at.end) else {
        return all();
    };
    let mut at = from;
    let mut header = None;
    for line in text.get(from..).unwrap_or_default().split_inclusive('\n') {
        let lower = line.trim_start().to_ascii_lowercase();
        if lower.starts_with("explanation:") && at > from {
            header = header.or(Some(at));
        }
        let is_text = lower.starts_with("text a:") || lower.starts_with("text 1:");
        if let Some(header) = header.filter(|_| is_text) {
            return (text.get(..header).unwrap_or(text), true);
        }
        at += line.len();
    }
    all()
}

/// The answer that a JSON value is.
fn value(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        Value::String(text) => word(text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The answer that a word is.
pub(super) fn word(text: &str) -> Option<bool> {
    let text = text.trim_matches(|c: char| !c.is_alphanumeric());
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// Numbers or words that follow each other: `1, 0, 1`, `yes no`, or a run of them in a sentence.
fn bare(text: &str, asked: usize) -> Option<Vec<bool>> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '/'))
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .collect();
    let all: Option<Vec<bool>> = words.iter().map(|text| word(text)).collect();
    if let Some(all) = all.filter(|all| !all.is_empty()) {
        return Some(all);
    }
    // What is in brackets and not a list of answers is not one with what cannot be read left out.
    if text.contains(['[', '{']) {
        return None;
    }
    // In a sentence "no" is a word like others: only figures tell.
    let figure = |text: &&str| word(text).filter(|_| !text.contains(char::is_alphabetic));
    let mut runs: Vec<Vec<bool>> = vec![Vec::new()];
    for text in &words {
        match (figure(text), runs.last_mut()) {
            (Some(yes), Some(run)) => run.push(yes),
            (None, Some(run)) if run.is_empty() => {}
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    if runs.len() == 1 {
        return runs.pop();
    }
    // Of several runs the last complete one counts. A figure alone may be of anything.
    runs.retain(|run| asked > 1 && run.len() == asked);
    runs.pop()
}

#[cfg(test)]
mod tests {
    use latentd_domain::Reason;
    use proptest::{collection::vec, prelude::*};

    use super::{super::said::tests::said, *};

    const YNY: [bool; 3] = [true, false, true];

    #[test]
    fn every_form_is_read() {
        for text in [
            "[1,0,1]",
            "[1, 0, 1,]",
            "[1; 0; 1]",
            "1, 0, 1",
            "1 0 1\n",
            "[True, False, True]",
            "[true, false, true]",
            "['yes', 'no', 'yes']",
            "[yes, no, YES]",
            "Yes, no, yes.",
            "[\"1\", \"0\", \"1\"]",
            "[1.0, 0.0, 1.0]",
            "{\"answers\": [1, 0, 1]}",
            "{\"reasoning\": \"[maybe]\", \"answers\": [true, false, true]}",
            "{\"answers\": [{\"text\": 1, \"answer\": 1}, {\"text\": 2, \"answer\": 0}, {\"text\": 3, \"answer\": 1}]}",
            "{\"text_2\": 0, \"text_1\": 1, \"text_3\": 1}",
            "{\"0\": \"yes\", \"1\": \"no\", \"2\": \"yes\"}",
            "```json\n{\"answers\": [1, 0, 1]}\n```",
            "```python\n[1, 0, 1]\n```",
            "Sure! Here is the list: [1, 0, 1]. I hope that it helps.",
            "The answers are 1, 0, 1.",
            "[Text 1: 1, Text 2: 0, Text 3: 1]",
            "{\"A\": 1, \"B\": 0, \"C\": 1}",
            "{\"B\": 0, \"A\": \"yes\", \"C\": true}",
            "{\"Text A\": 1, \"Text B\": 0, \"Text C\": 1}",
            "{A: 1, B: 0, C: 1}",
            "A: 1, B: 0, C: 1",
            "Text A: 1\nText B: 0\nText C: 1",
            "Text 1: yes\nText 2: no\nText 3: yes",
            "1. 1\n2. 0\n3. 1",
            "Text 1: 1.\nText 2: 0.\nText 3: 1.",
            "Example 1 - true\nExample 2 - false\nExample 3 - true",
            "[1] means that it fires.\n\n[1, 0, 1]",
            "[1, 0, 1]\n\nExplanation: words\n\nText 1: x\n[0, 0, 0]",
            "{\"answers\": [1, 0, 1], ",
            "{\"reasoning\": \"of words\", \"A\": 1, \"B\": 0, \"C\": 1}",
            "{'A': 1, 'B': 0, 'C': 1}",
            "**Text A:** 1\n**Text B:** 0\n**Text C:** 1",
            "A: 1 - it speaks of windows\nB: 0 - it does not\nC: 1 - it does, too",
            "[1, 0, 1]\n\nText B does not, because [0] is silent.",
        ] {
            assert_eq!(answers(said(text), 3), Ok(YNY.to_vec()), "{text}");
        }
    }

    #[test]
    fn the_last_complete_answer_counts() {
        for text in [
            "My first answer: [0, 1, 0]. On reflection, the correct answer is [1, 0, 1]",
            "[0, 1, 0]\n\nWait. Text B is silent.\n\n[1, 0, 1]",
            "{\"A\": 0, \"B\": 1, \"C\": 0}\nOn reflection:\n{\"A\": 1, \"B\": 0, \"C\": 1}",
            "Draft: [0, 1, 0]\n\n```json\n[1, 0, 1]\n```",
            "[1, 0, 1]\n\nI first thought of [0, 1, 0] here, too.",
            "The correct answer is [1, 0, 1], not [0, 1, 0].",
            "Text A: 0\nText B: 1\nText C: 0\n\nOn reflection:\nText A: 1\nText B: 0\nText C: 1",
            "Draft [0, 1, 0], final:\nText A: 1\nText B: 0\nText C: 1",
            "My first answer is 0, 1, 0 but the correct answer is 1, 0, 1",
            "{\"draft\": [0, 1, 0], \"final\": [1, 0, 1]}",
            "[0, 1, 0] or rather [1, 0, 1], and [1, 0] for the last two",
        ] {
            assert_eq!(answers(said(text), 3), Ok(YNY.to_vec()), "{text}");
        }
        let revised = "My first answer is [0]. On reflection, the correct answer is [1].";
        assert_eq!(answers(said(revised), 1), Ok(vec![true]));
        let remark = "[1]\n\nIt does not end there, because [0] is silent.";
        assert_eq!(answers(said(remark), 1), Ok(vec![true]));
    }

    #[test]
    fn what_was_cut_off_is_no_answer() {
        let cut = |text| Said {
            cut_off: true,
            ..said(text)
        };
        let reason = |text| answers(cut(text), 3).unwrap_err().reason;
        assert_eq!(reason("[1, 0, 1]"), Reason::AnswerCutOff);
        assert_eq!(reason("[1, 0, 1]. But on reflection"), Reason::AnswerCutOff);
        // A model that goes on with questions of its own has answered before.
        let on = "[1, 0, 1]\n\nExplanation: words\n\nText A: x\nText B";
        assert_eq!(answers(cut(on), 3), Ok(YNY.to_vec()));
    }

    #[test]
    fn one_answer_is_read() {
        for text in [
            "1",
            "yes",
            "Yes.",
            "[1]",
            "The answer is 1.",
            "{\"answers\": [1]}",
            "true\n",
        ] {
            assert_eq!(answers(said(text), 1), Ok(vec![true]), "{text}");
        }
    }

    #[test]
    fn the_count_is_insisted_on() {
        for (text, asked) in [
            ("[1,0,1]", 5),
            ("1, 0, 1", 2),
            ("{\"answers\": [1]}", 2),
            ("yes", 4),
            ("{\"A\": 1, \"B\": 0}", 3),
            ("A: 1, B: 0", 3),
        ] {
            assert_eq!(
                answers(said(text), asked).unwrap_err().reason,
                Reason::AnswerCount,
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "I cannot tell.",
            "[2, 3, 4]",
            "[EXPLANATION]: words",
            "There are no texts.",
            "{\"answers\": []}",
            "{}",
            "[null, 1, 0]",
            "[1, maybe, 0]",
            "{\"A\": 1, \"C\": 0, \"D\": 1}",
            "{\"text_1\": 1, \"text_2\": 0, \"text_4\": 1}",
            "A: 1\nC: 0\nD: 1",
            "it is 1 of 3, or 0",
        ] {
            assert_eq!(
                answers(said(text), 3).unwrap_err().reason,
                Reason::AnswerNotParsed,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn lists_are_read_whatever_is_around(
            list in vec(any::<bool>(), 1..12),
            before in "[a-z .\n]{0,20}",
            after in "[a-z .\n]{0,20}",
        ) {
            let figures: Vec<&str> = list.iter().map(|&yes| if yes { "1" } else { "0" }).collect();
            let text = format!("{before}[{}]{after}", figures.join(", "));
            prop_assert_eq!(answers(said(&text), list.len()), Ok(list.clone()));
            prop_assert_eq!(answers(said(&text), list.len() + 1).unwrap_err().reason, Reason::AnswerCount);
        }

        #[test]
        fn whatever_was_thought_before_changes_nothing(
            list in vec(any::<bool>(), 1..8),
            thought in "(?s)[\\[\\]{}01, a-zA-Z:.<>/\n]{0,60}",
            open in any::<bool>(),
        ) {
            let figures: Vec<&str> = list.iter().map(|&yes| if yes { "1" } else { "0" }).collect();
            let answer = format!("[{}]", figures.join(", "));
            let text = format!("{}{thought}</think>\n\n{answer}", if open { "<think>" } else { "" });
            let reply = crate::Reply::Chat(crate::call::Answer { text, ..Default::default() });
            prop_assert_eq!(answers(crate::parse::answer(&reply).unwrap(), list.len()), Ok(list));
        }

        #[test]
        fn nothing_that_is_said_breaks_the_reader(text in "\\PC{0,60}", asked in 1usize..8) {
            if let Ok(list) = answers(said(&text), asked) {
                prop_assert_eq!(list.len(), asked);
            }
        }
    }
}
