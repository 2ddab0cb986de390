//! Page of the completion explainer: lists of words with their themes.

use std::fmt::Write as _;

/// Lists of words, with what they have in common: forms of one word, things of one kind, words of one use.
const SHOTS: [(&str, &str); 8] = [
    ("buy, bought, buying, purchase, purchases", "buying"),
    ("big, huge, large, bigger, enormous", "large size"),
    ("Smith, Mary, Jones, John, Brown", "names of people"),
    ("said, told, asked, replied, says", "speaking"),
    ("apple, bread, soup, cheese, rice", "food"),
    ("judge, court, trial, verdict, lawyer", "law and courts"),
    ("in, on, under, behind, above", "positions"),
    ("river, lake, ocean, stream, pond", "water"),
];

/// Orders of the lists: the first place and the step to the next one.
const STEPS: [(usize, usize); 4] = [(0, 1), (7, 7), (0, 3), (2, 5)];

/// How many orders of the lists there are.
pub(crate) const ORDERS: usize = STEPS.len();

/// Words of no theme.
pub(crate) const NEUTRAL: [&str; 6] = ["thing", "one", "other", "way", "part", "some"];

/// The page in one of its orders, which ends where the theme of `words` is to be named.
pub(crate) fn page(order: usize, words: &[String]) -> String {
    let mut page = String::new();
    let (first, step) = STEPS.get(order).copied().unwrap_or((0, 1));
    for at in 0..SHOTS.len() {
        if let Some((words, theme)) = SHOTS.get((first + at * step) % SHOTS.len()) {
            let _ = write!(page, "Words: {words}\nTheme: {theme}\n\n");
        }
    }
    let _ = write!(page, "Words: {}\nTheme:", words.join(", "));
    page
}
