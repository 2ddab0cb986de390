//! Tokens on a terminal: visible, harmless, coloured by activation.

use std::fmt::Write as _;

use super::style::Style;

/// A token's text on one line: line ends become signs, and what could command the terminal is replaced.
pub(super) fn visible(token: &str) -> String {
    token
        .chars()
        .map(|c| match c {
            '\n' => '↵',
            '\t' => '⇥',
            c if c.is_control() || is_direction(c) => '\u{FFFD}',
            c => c,
        })
        .collect()
}

/// Marks that change the direction of writing can make a line read as what it is not.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A token in quotes, for a column of its own.
pub(super) fn quoted(token: &str) -> String {
    format!("‘{}’", visible(token))
}

/// Tokens as text, each as warm as its activation's share of `max`, the peak underlined; without colours the peak stands
/// between `«` and `»`.
pub(super) fn warm(
    tokens: &[String],
    activations: &[f32],
    max: f32,
    peak: Option<usize>,
    style: Style,
) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        let is_peak = peak == Some(index);
        let activation = activations.get(index).copied().unwrap_or_default();
        let share = if max > 0.0 { activation / max } else { 0.0 };
        let token = visible(token);
        if is_peak && !style.is_on() {
            let _ = write!(text, "«{token}»");
        } else {
            text.push_str(&style.heat(&token, share, is_peak));
        }
    }
    text
}

/// The token with the highest activation, the first if there are several, and how high it is; none if nothing fires.
pub(super) fn strongest(activations: &[f32]) -> Option<(usize, f32)> {
    let firing = activations.iter().copied().enumerate();
    firing
        .filter(|&(_, activation)| activation > 0.0)
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Vec<String> {
        ["The", " end", "\n"].map(String::from).to_vec()
    }

    #[test]
    fn terminals_are_not_commanded() {
        assert_eq!(
            visible("a\x1b[2Jb\u{202E}c\nd\te"),
            "a\u{FFFD}[2Jb\u{FFFD}c↵d⇥e"
        );
        assert_eq!(quoted(" x"), "‘ x’");
    }

    #[test]
    fn the_peak_is_marked_with_and_without_colours() {
        let plain = warm(&tokens(), &[0.0, 2.0, 1.0], 2.0, Some(1), Style::new(false));
        assert_eq!(plain, "The« end»↵");
        let coloured = warm(&tokens(), &[0.0, 2.0, 1.0], 2.0, Some(1), Style::new(true));
        assert!(coloured.starts_with("The\x1b["));
        assert_eq!(console::strip_ansi_codes(&coloured), "The end↵");
        assert_eq!(
            warm(&tokens(), &[], 0.0, None, Style::new(true)),
            "The end↵"
        );
    }
}
