//! Answers of yes and no.

use serde_json::Value;

use super::{
    lists::{consecutive, label, lists},
    not_parsed, wrong_count,
};
use crate::Failure;

/// The `asked` answers in `text`: the first list of that many, where there are several.
pub(crate) fn answers(text: &str, asked: usize) -> Result<Vec<bool>, Failure> {
    let mut found = lists(text, &value);
    for others in [lines, bare] {
        if found.is_empty() {
            found.extend(others(text));
        }
    }
    // A model that goes on talks of texts of its own making.
    let other = found.first().map(Vec::len);
    match found.into_iter().find(|list| list.len() == asked) {
        Some(list) => Ok(list),
        None => Err(other.map_or_else(|| not_parsed(text), |found| wrong_count(found, asked))),
    }
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

/// One answer at the end of each line or entry that begins with the letter or the number of a text: `Text C: yes`,
/// `A: 1, B: 0`, `3. 1`. The letters or numbers are those of all texts up to the last.
fn lines(text: &str) -> Option<Vec<bool>> {
    let entry = |line: &str| {
        let (before, after) = line.rsplit_once([':', '.', ')', '-', '='])?;
        let named = before.split_whitespace().last()?;
        let named = named.trim_matches(|c: char| !c.is_alphanumeric());
        let letter = named.chars().all(|c| c.is_ascii_uppercase());
        (letter || named.parse::<u32>().is_ok()).then_some(())?;
        Some((named.to_owned(), word(after)?))
    };
    // A full stop at the end of a line is not one behind a number.
    let entries = text
        .split(['\n', ',', ';'])
        .map(|line| line.trim().trim_end_matches('.'));
    let (names, answers): (Vec<String>, Vec<bool>) = entries.filter_map(entry).unzip();
    let numbers: Option<Vec<u32>> = names.iter().map(|name| name.parse().ok()).collect();
    let all = match numbers {
        Some(numbers) => consecutive(&numbers),
        None => names.iter().cloned().eq((0..names.len()).map(label)),
    };
    (all && !answers.is_empty()).then_some(answers)
}

/// Numbers or words that follow each other: `1, 0, 1`, `yes no`, or a run of them in a sentence.
fn bare(text: &str) -> Option<Vec<bool>> {
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
    // Of several runs it is not known which is meant.
    (runs.len() == 1).then(|| runs.remove(0))
}

#[cfg(test)]
mod tests {
    use latentd_domain::Reason;
    use proptest::{collection::vec, prelude::*};

    use super::*;

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
        ] {
            assert_eq!(answers(text, 3), Ok(YNY.to_vec()), "{text}");
        }
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
            assert_eq!(answers(text, 1), Ok(vec![true]), "{text}");
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
                answers(text, asked).unwrap_err().reason,
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
                answers(text, 3).unwrap_err().reason,
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
            prop_assert_eq!(answers(&text, list.len()), Ok(list.clone()));
            prop_assert_eq!(answers(&text, list.len() + 1).unwrap_err().reason, Reason::AnswerCount);
        }

        #[test]
        fn nothing_that_is_said_breaks_the_reader(text in "\\PC{0,60}", asked in 1usize..8) {
            if let Ok(list) = answers(&text, asked) {
                prop_assert_eq!(list.len(), asked);
            }
        }
    }
}
