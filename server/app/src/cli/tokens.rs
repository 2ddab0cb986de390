//! Tokens on a terminal: visible, harmless, coloured by activation.

use std::{fmt::Write as _, ops::Range};

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
    // A token without text is a part of the character that the next one shows: its warmth and the peak are seen there.
    let (mut carried, mut carries_peak) = (0.0_f32, false);
    for (index, token) in tokens.iter().enumerate() {
        let is_peak = peak == Some(index) || carries_peak;
        let activation = activations.get(index).copied().unwrap_or_default();
        let activation = activation.max(carried);
        if token.is_empty() {
            (carried, carries_peak) = (activation, is_peak);
            continue;
        }
        (carried, carries_peak) = (0.0, false);
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

/// As [`warm`], cut to the tokens around the peak that fit into `width` columns; `…` stands for what is left out.
pub(super) fn around(
    tokens: &[String],
    activations: &[f32],
    max: f32,
    peak: Option<usize>,
    (style, width): (Style, usize),
) -> String {
    let peak = peak.map(|peak| holder(tokens, peak));
    let marks = if style.is_on() || peak.is_none() {
        0
    } else {
        2
    };
    let widths: Vec<usize> = tokens
        .iter()
        .map(|token| console::measure_text_width(&visible(token)))
        .collect();
    let range = if widths.iter().sum::<usize>() + marks <= width {
        0..tokens.len()
    } else {
        near(&widths, peak.unwrap_or(0), width.saturating_sub(marks + 2))
    };
    let (start, end) = (range.start, range.end);
    let text = warm(
        tokens.get(start..end).unwrap_or_default(),
        activations.get(start..end).unwrap_or_default(),
        max,
        peak.and_then(|peak| peak.checked_sub(start)),
        style,
    );
    let before = if start > 0 { "…" } else { "" };
    let after = if end < tokens.len() { "…" } else { "" };
    format!("{before}{text}{after}")
}

/// As many neighbours of `peak` as fit into `room` columns, two thirds of them before it.
fn near(widths: &[usize], peak: usize, room: usize) -> Range<usize> {
    let width = |index: usize| widths.get(index).copied();
    let (mut start, mut end) = (peak, peak + 1);
    let (mut before, mut after) = (0, 0);
    let mut left = room.saturating_sub(width(peak).unwrap_or_default());
    loop {
        let previous = start.checked_sub(1).and_then(width).filter(|&w| w <= left);
        let next = width(end).filter(|&w| w <= left);
        match (previous, next) {
            (Some(wide), None) => {
                start -= 1;
                before += wide;
                left -= wide;
            }
            (Some(wide), Some(_)) if before <= 2 * after => {
                start -= 1;
                before += wide;
                left -= wide;
            }
            (_, Some(wide)) => {
                end += 1;
                after += wide;
                left -= wide;
            }
            (None, None) => return start..end.min(widths.len()),
        }
    }
}

/// The token in which the token `index` is seen: itself, or the one that completes its character.
fn holder(tokens: &[String], index: usize) -> usize {
    let rest = tokens.iter().enumerate().skip(index);
    let mut seen = rest.filter(|(_, token)| !token.is_empty());
    seen.next().map_or(index, |(at, _)| at)
}

/// The text in which the token `index` is seen.
pub(super) fn seen(tokens: &[String], index: usize) -> &str {
    let token = tokens.get(holder(tokens, index));
    token.map_or("", String::as_str)
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
    fn long_text_is_cut_around_its_peak() {
        let tokens: Vec<String> = (0..30).map(|n| format!(" w{n:02}")).collect();
        let activations = vec![1.0; 30];
        let cut = |width| {
            around(
                &tokens,
                &activations,
                1.0,
                Some(20),
                (Style::new(false), width),
            )
        };
        assert_eq!(cut(30), "… w17 w18 w19« w20» w21 w22…");
        assert!(console::measure_text_width(&cut(80)) <= 80);
        assert!(!cut(200).contains('…'), "it fits");
        let plain = around(&tokens, &activations, 1.0, None, (Style::new(false), 20));
        assert_eq!(plain, " w00 w01 w02 w03…");
    }

    #[test]
    fn what_fires_inside_a_character_is_seen_on_it() {
        let tokens = ["a", "", "", "🎉", "b"].map(String::from);
        let activations = [0.0, 3.0, 0.0, 1.0, 0.0];
        let plain = warm(&tokens, &activations, 3.0, Some(1), Style::new(false));
        assert_eq!(plain, "a«🎉»b");
        let coloured = warm(&tokens, &activations, 3.0, None, Style::new(true));
        let own = warm(
            &tokens,
            &[0.0, 0.0, 0.0, 3.0, 0.0],
            3.0,
            None,
            Style::new(true),
        );
        assert_eq!(coloured, own);
        assert_eq!(
            (seen(&tokens, 1), seen(&tokens, 4), seen(&tokens, 9)),
            ("🎉", "b", "")
        );
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
