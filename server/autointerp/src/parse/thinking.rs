//! Where the thinking of a reasoning model ends and its answer begins, when both stand in one text.
//!
//! Models and servers mark thinking in many ways. What they have in common: the answer is what follows the last mark that
//! closes it. A text that opens thinking and never closes it holds no answer. Several servers leave the opening mark out,
//! because the chat template has written it.

/// Thinking was opened and not closed: the answer ended before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclosed;

/// Words that a mark of thinking ends in: `<think>`, `<seed:think>`, `<|begin_of_thought|>`, `[THINK]`, `◁think▷`.
const THINKING: [&str; 14] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reason",
    "reasoning",
    "reflect",
    "reflection",
    "rationale",
    "analysis",
    "scratchpad",
    "monologue",
    "cot",
    "deliberation",
];

/// Words that a mark around an answer ends in: `<answer>`, `<|begin_of_solution|>`, `<|START_RESPONSE|>`.
const ANSWER: [&str; 6] = [
    "answer", "output", "response", "solution", "final", "result",
];

/// Marks of other forms, in lower case.
const OTHERS: [(&str, Mark); 6] = [
    // MedGemma.
    ("<unused94>", Mark::Open),
    ("<unused95>", Mark::Close),
    // Gemma.
    ("<|channel>thought", Mark::Open),
    ("<channel|>", Mark::Close),
    // Apertus.
    ("<|inner_prefix|>", Mark::Open),
    ("<|inner_suffix|>", Mark::Close),
];

/// Words that are a mark in square brackets, too; others are headings there.
const IN_SQUARE: [&str; 3] = ["think", "thinking", "thought"];

/// What Granite says before it thinks and before it answers. In other answers the latter may be a sentence like others.
const GRANITE: [(&str, &str); 2] = [
    ("here is my thought process:", "here is my response:"),
    ("here's my thought process:", "here's my response:"),
];

/// Brackets that marks stand in.
const BRACKETS: [(char, char); 3] = [('<', '>'), ('[', ']'), ('◁', '▷')];

/// Longest text between the brackets of a mark.
const LONGEST: usize = 80;

/// Marks at the end of an answer that some servers leave in it.
const ENDS: [&str; 8] = [
    "<|return|>",
    "<|end|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "</s>",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Open,
    Close,
}

/// The byte of `text` at which the answer begins.
pub(super) fn end(text: &str) -> Result<usize, Unclosed> {
    let (mut from, mut open) = (0, bare_channel(text) == Some(Mark::Open));
    for (at, _) in text.char_indices() {
        if at < from {
            continue;
        }
        let Some((mark, length)) = mark(text, at) else {
            continue;
        };
        match mark {
            Mark::Close => (from, open) = (at + length, false),
            // What is only spoken of opens nothing.
            Mark::Open => open |= !is_quoted(text, at),
        }
    }
    if open { Err(Unclosed) } else { Ok(from) }
}

/// An answer without the marks around it.
pub(super) fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(rest) = ENDS.iter().find_map(|end| text.strip_suffix(end)) {
        text = rest.trim_end();
    }
    let Some((Mark::Open, length)) = in_brackets(text, &ANSWER) else {
        return text;
    };
    let inner = text.get(length..).unwrap_or_default();
    let close = inner.char_indices().rev().find(|(at, _)| {
        let here = inner.get(*at..).unwrap_or_default();
        matches!(in_brackets(here, &ANSWER), Some((Mark::Close, _)))
    });
    let end = close.map_or(inner.len(), |(at, _)| at);
    inner.get(..end).unwrap_or_default().trim()
}

/// The mark that begins at `at`, and its length.
fn mark(text: &str, at: usize) -> Option<(Mark, usize)> {
    let here = text.get(at..)?;
    let other = OTHERS.iter().find(|(form, _)| begins(here, form));
    if let Some((form, mark)) = other {
        return Some((*mark, form.len()));
    }
    channel(here)
        .or_else(|| granite(text, at))
        .or_else(|| in_brackets(here, &THINKING))
        .or_else(|| {
            // gpt-oss, where the server has left its special tokens out: `analysis…assistantfinal…`.
            let (bare, form) = (bare_channel(text)?, "assistantfinal");
            (bare == Mark::Open && here.starts_with(form)).then_some((Mark::Close, form.len()))
        })
}

/// A sentence of Granite, which begins with the one and goes on with the other.
fn granite(text: &str, at: usize) -> Option<(Mark, usize)> {
    let indent = text.len() - text.trim_start().len();
    let (open, close) = GRANITE
        .iter()
        .find(|(open, _)| begins(text.trim_start(), open))?;
    if at == indent {
        return Some((Mark::Open, open.len()));
    }
    begins(text.get(at..)?, close).then_some((Mark::Close, close.len()))
}

/// Channels of gpt-oss: `<|channel|>analysis<|message|>`, `<|channel|>final <|constrain|>json<|message|>`.
fn channel(here: &str) -> Option<(Mark, usize)> {
    let rest = here.strip_prefix("<|channel|>")?;
    if !rest.starts_with("final") {
        return Some((Mark::Open, here.len() - rest.len()));
    }
    let message = "<|message|>";
    let length = here.find(message)? + message.len();
    Some((Mark::Close, length))
}

/// The channel that a text of gpt-oss begins in, where its special tokens were left out.
fn bare_channel(text: &str) -> Option<Mark> {
    let rest = text.trim_start().strip_prefix("analysis")?;
    rest.starts_with(char::is_uppercase).then_some(Mark::Open)
}

/// A mark in brackets whose last word is one of `words`, and its length.
fn in_brackets(here: &str, words: &[&str]) -> Option<(Mark, usize)> {
    let first = here.chars().next()?;
    let (_, last) = BRACKETS.iter().find(|(open, _)| *open == first)?;
    let inner = here.get(first.len_utf8()..)?;
    let end = inner
        .find(*last)
        .filter(|&end| end <= LONGEST && !inner.get(..end).unwrap_or_default().contains('\n'))?;
    let length = first.len_utf8() + end + last.len_utf8();
    let inner = inner.get(..end)?.trim_matches('|').trim();
    let (mut mark, mut name) = (Mark::Open, inner);
    if let Some(rest) = name.strip_prefix('/') {
        (mark, name) = (Mark::Close, rest);
    }
    // Attributes: `<think budget="500">`.
    if let Some((before, rest)) = name.trim().split_once(char::is_whitespace) {
        name = rest.contains('=').then_some(before)?;
    }
    let name = name.trim().to_lowercase();
    let mut parts: Vec<&str> = name.split(['_', ':', '-', '|']).collect();
    for (verb, says) in [
        ("begin", Mark::Open),
        ("start", Mark::Open),
        ("end", Mark::Close),
    ] {
        let word = parts.first_mut()?;
        if let Some(rest) = word.strip_prefix(verb) {
            (*word, mark) = (rest, says);
        }
    }
    let word = parts.last()?;
    let known = words.contains(word) && (first != '[' || IN_SQUARE.contains(word));
    known.then_some((mark, length))
}

fn begins(text: &str, form: &str) -> bool {
    let front = text.as_bytes().get(..form.len());
    front.is_some_and(|front| front.eq_ignore_ascii_case(form.as_bytes()))
}

/// Whether a quotation mark stands right before `at`.
fn is_quoted(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.ends_with(['"', '\'', '`', '“', '‘', '«'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(text: &str) -> Result<&str, Unclosed> {
        end(text).map(|from| unwrapped(&text[from..]))
    }

    #[test]
    fn what_follows_the_last_closing_mark_is_the_answer() {
        for text in [
            "the answer",
            "<think>\n[0, 1]\n</think>\n\nthe answer",
            "[0, 1] hmm\n</think>\nthe answer",
            "<think></think>the answer",
            "<THINK>a</Think >the answer",
            "<thinking>a</thinking>the answer",
            "<think>a</think><think>b</think>the answer",
            "<think>a <think> b</think>the answer",
            "<thought>a</thought>the answer",
            "<reasoning>a</reasoning>\nthe answer",
            "<reflection>a</reflection>\nthe answer",
            "<think budget=\"3\">a</think>\nthe answer",
            "<seed:think>a</seed:think>the answer",
            "<longcat_think>a</longcat_think>the answer",
            "[THINK]a[/THINK]the answer",
            "◁think▷a◁/think▷the answer",
            "<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>the answer<|end_of_solution|>",
            "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>the answer<|END_RESPONSE|>",
            "<|startthought|>a<|endthought|>the answer",
            "<unused94>thought\na<unused95>the answer",
            "<|channel>thought\na<channel|>the answer",
            "<|inner_prefix|>a<|inner_suffix|>the answer",
            "Here is my thought process: a\nHere is my response: the answer",
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>the answer<|return|>",
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>the answer",
            "analysisWe must say it.assistantfinalthe answer",
            "<think>a</think>\n<answer>\nthe answer\n</answer>",
            "<think>a</think>the answer<|im_end|>",
        ] {
            assert_eq!(answer(text), Ok("the answer"), "{text}");
        }
    }

    #[test]
    fn thinking_that_is_not_closed_has_no_answer() {
        for text in [
            "<think>\nIt may be [0, 1]",
            "<think>a</think>b<think>c",
            "Sure. <think> [1, 0]",
            "[THINK]a",
            "◁think▷a",
            "<seed:think>a",
            "<|channel|>analysis<|message|>[1, 0]",
            "analysisWe must say [1, 0]",
            "Here is my thought process: [1, 0]",
        ] {
            assert_eq!(answer(text), Err(Unclosed), "{text}");
        }
    }

    #[test]
    fn what_is_no_mark_is_text() {
        for text in [
            "The tag `<think>` in transcripts.",
            "a < b and c > d",
            "[1, 0, 1]",
            "<html>",
            "I think [that] it is <b>bold</b>.",
            "analysis of texts",
            "Here is my response: the word of",
        ] {
            assert_eq!(answer(text), Ok(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_thought(thought in "(?s).{0,60}", answer_text in "[a-z0-9 ,]{1,20}") {
            let text = format!("<think>{thought}</think>{answer_text}");
            prop_assert_eq!(answer(&text), Ok(answer_text.trim()));
        }
    }
}
