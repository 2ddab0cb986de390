//! Page of the completion explainer: lists of words with their themes.

use std::fmt::Write as _;

/// Lists of words, with what they have in common: forms of one word, things of one kind, words of one use.
const SHOTS: [(&str, &str); 8] = [
    ("big, huge, large, bigger, enormous", "large size"),
    ("said, told, asked, replied, says", "speaking"),
    ("red, blue, green, yellow, purple", "colours"),
    ("judge, court, trial, verdict, lawyer", "law and courts"),
    (
        "walked, jumped, climbed, swam, ran",
        "movements of the body",
    ),
    ("buy, bought, buying, purchase, purchases", "buying"),
    ("Smith, Mary, Jones, John, Brown", "names of people"),
    ("January, March, June, October, April", "months of the year"),
];

/// Orders of the lists. The last ones tell most: each order ends with a list of another sort.
const PLACES: [[usize; 8]; 4] = [
    [0, 1, 2, 3, 4, 5, 6, 7],
    [7, 6, 5, 4, 3, 2, 1, 0],
    [6, 7, 0, 4, 3, 1, 2, 5],
    [5, 2, 7, 1, 6, 0, 4, 3],
];

/// How many orders of the lists there are.
pub(crate) const ORDERS: usize = PLACES.len();

/// Words of no theme.
pub(crate) const NEUTRAL: [&str; 6] = ["thing", "one", "other", "way", "part", "some"];

/// The page in one of its orders, which ends where the theme of `words` is to be named.
pub(crate) fn page(order: usize, words: &[String]) -> String {
    let mut page = String::new();
    for &place in PLACES.get(order).into_iter().flatten() {
        if let Some((words, theme)) = SHOTS.get(place) {
            let _ = write!(page, "Words: {words}\nTheme: {theme}\n\n");
        }
    }
    let _ = write!(page, "Words: {}\nTheme:", words.join(", "));
    page
}
