//! Answers in lines or entries that begin with the letter or the number of a text: `Text C: yes`, `A: 1, B: 0`, `3. 1`.

use super::{
    answers::word,
    lists::{List, consecutive, label},
};

/// Separators between the name of a text and its answer.
const BETWEEN: [char; 5] = [':', '.', ')', '-', '='];

/// An entry: the text's name, and the answer about it.
struct Entry {
    name: String,
    answer: bool,
    start: usize,
    end: usize,
}

/// Every run of answers about the first text, the second and on without a gap, in the order in which they stand.
pub(super) fn lines(text: &str) -> Vec<List<bool>> {
    let mut runs: Vec<Vec<Entry>> = Vec::new();
    for entry in entries(text) {
        // A model that answers again begins with the first text.
        let begins = |run: &Vec<Entry>| {
            let first = run.first();
            entry.name == "A" || first.is_some_and(|first| first.name == entry.name)
        };
        match runs.last_mut() {
            Some(run) if !begins(run) => run.push(entry),
            Some(_) | None => runs.push(vec![entry]),
        }
    }
    runs.into_iter().filter_map(run).collect()
}

fn run(entries: Vec<Entry>) -> Option<List<bool>> {
    let numbers: Option<Vec<u32>> = entries
        .iter()
        .map(|entry| entry.name.parse().ok())
        .collect();
    let names = entries.iter().map(|entry| entry.name.clone());
    let all = numbers.map_or_else(
        || names.eq((0..entries.len()).map(label)),
        |numbers| consecutive(&numbers),
    );
    let at = entries.first()?.start..entries.last()?.end;
    let values = entries.into_iter().map(|entry| entry.answer).collect();
    all.then_some(List { at, values })
}

fn entries(text: &str) -> Vec<Entry> {
    let mut start = 0;
    let mut found = Vec::new();
    for piece in text.split_inclusive(['\n', ',', ';']) {
        found.extend(entry(piece.trim_end_matches(['\n', ',', ';']), start));
        start += piece.len();
    }
    found
}

/// The entry that a piece is: a name, and an answer at its end or with a remark behind it.
fn entry(piece: &str, start: usize) -> Option<Entry> {
    // A full stop at the end of a line is not one behind a number.
    let whole = piece.trim().trim_end_matches('.');
    let at_end = || {
        let (before, after) = whole.rsplit_once(BETWEEN)?;
        Some((name(before)?, word(after)?))
    };
    let with_remark = || {
        let (before, after) = whole.split_once([':', ')', '='])?;
        let after = after.trim_start_matches(|c: char| !c.is_alphanumeric());
        let end = after.find(|c: char| !c.is_alphanumeric())?;
        let (said, rest) = (after.get(..end)?, after.get(end..)?.trim_start());
        // A remark is set off; "no" may begin a sentence.
        let set_off = rest.starts_with(['-', '–', '—', '(', '.', ';', ':', '#', '*']);
        Some((name(before)?, word(said).filter(|_| set_off)?))
    };
    let (name, answer) = at_end().or_else(with_remark)?;
    Some(Entry {
        name,
        answer,
        start,
        end: start + piece.len(),
    })
}

/// The letter or the number of a text, at the end of what stands before the answer.
fn name(before: &str) -> Option<String> {
    let named = before.split_whitespace().last()?;
    let named = named.trim_matches(|c: char| !c.is_alphanumeric());
    let letter = named.chars().all(|c| c.is_ascii_uppercase());
    (letter || named.parse::<u32>().is_ok()).then(|| named.to_owned())
}
