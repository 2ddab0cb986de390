//! Examples as text: one line each, marked tokens between `<<` and `>>`, and activations on a scale of 0 to 10.
//!
//! What is written can be read back exactly, whatever the text holds. Line breaks and tabs are written `\n`, `\r` and `\t`. A
//! backslash is written `\\`, and `<` and `>` are written `\<` and `\>`, only where they could be taken for something else: a
//! mark, or the beginning of a special token such as `<|im_end|>`, which must not end the conversation that shows it.

use std::ops::Range;

use crate::Shown;

/// Activations that are listed of one example, at most (delphi, explainers/explainer.py).
const MAX_LISTED: usize = 10;

/// Highest value of the scale on which activations are shown.
pub const SCALE: f32 = 10.0;

/// `activation` as a whole number from 0 to 10, rounded up (delphi, latents/samplers.py).
pub fn level(activation: f32, max: f32) -> u8 {
    (SCALE * activation / max.max(1e-6))
        .ceil()
        .clamp(0.0, SCALE) as u8
}

/// Which tokens are marked: those on which the latent fires with at least `threshold` of the peak.
pub fn strong(activations: &[f32], threshold: f64) -> Vec<bool> {
    let peak = activations.iter().copied().fold(0.0, f32::max);
    activations
        .iter()
        .map(|&activation| activation > 0.0 && f64::from(activation) >= threshold * f64::from(peak))
        .collect()
}

/// Indexes of the tokens that are marked.
pub fn indexes(marks: &[bool]) -> Vec<u32> {
    (0u32..)
        .zip(marks)
        .filter_map(|(index, &marked)| marked.then_some(index))
        .collect()
}

/// Text as it is, but for special tokens, which become plain text: for places that have their own way of writing line breaks.
pub fn inert(text: &str) -> String {
    text.replace("<|", "\\<|")
}

/// A token in quotes, as JSON writes it.
pub fn quoted(token: &str) -> String {
    serde_json::Value::String(inert(token)).to_string()
}

/// Text on one line, without marks.
pub fn line(text: &str) -> String {
    let chars: Vec<Piece> = text.chars().map(Piece::Char).collect();
    write(&chars, false)
}

/// Tokens on one line; each run of marked ones is between `<<` and `>>`.
pub fn marked(tokens: &[String], marks: &[bool]) -> String {
    let mut pieces = Vec::new();
    let mut open = false;
    // A token without text has nothing to mark, and does not part what is beside it.
    for (token, &mark) in tokens
        .iter()
        .zip(marks)
        .filter(|(token, _)| !token.is_empty())
    {
        if mark != open {
            pieces.push(if mark { Piece::Open } else { Piece::Close });
            open = mark;
        }
        pieces.extend(token.chars().map(Piece::Char));
    }
    if open {
        pieces.push(Piece::Close);
    }
    write(&pieces, true)
}

/// The marked tokens with their activations, as a line: the strongest of them where there are many, in the order of the text.
pub fn activations(shown: &Shown, marks: &[bool], max: f32) -> String {
    let mut listed: Vec<(usize, &String, f32)> = shown
        .tokens
        .iter()
        .zip(&shown.activations)
        .zip(marks)
        .enumerate()
        .filter(|(_, ((token, _), mark))| **mark && !token.is_empty())
        .map(|(index, ((token, &activation), _))| (index, token, activation))
        .collect();
    listed.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    listed.truncate(MAX_LISTED);
    listed.sort_by_key(|(index, _, _)| *index);
    let listed: Vec<String> = listed
        .into_iter()
        .map(|(_, token, activation)| {
            let token = quoted(token);
            format!("({token} : {})", level(activation, max))
        })
        .collect();
    format!("Activations: {}", listed.join(", "))
}

/// A line that was read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The text.
    pub text: String,
    /// The bytes of it that are marked.
    pub marks: Vec<Range<usize>>,
}

/// Reads what [`marked`] wrote; `None` if the marks do not pair up.
pub fn read_marked(line: &str) -> Option<Read> {
    let mut read = Read::default();
    let mut open = None;
    let mut rest = line;
    while let Some(char) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("<<") {
            if open.replace(read.text.len()).is_some() {
                return None;
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix(">>") {
            let start = open.take()?;
            read.marks.push(start..read.text.len());
            rest = after;
        } else {
            rest = unescape(rest, char, &mut read.text);
        }
    }
    open.is_none().then_some(read)
}

/// Reads what [`line`] wrote.
pub fn read_line(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(char) = rest.chars().next() {
        rest = unescape(rest, char, &mut text);
    }
    text
}

/// Reads one character of the text, which begins with `char`, and says what is left.
fn unescape<'a>(rest: &'a str, char: char, text: &mut String) -> &'a str {
    let after = rest.get(char.len_utf8()..).unwrap_or_default();
    let escaped = match after.chars().next() {
        Some(next @ ('\\' | '<' | '>')) if char == '\\' => Some(next),
        Some('n') if char == '\\' => Some('\n'),
        Some('r') if char == '\\' => Some('\r'),
        Some('t') if char == '\\' => Some('\t'),
        _ => None,
    };
    text.push(escaped.unwrap_or(char));
    // What follows a backslash here is one byte long.
    match escaped {
        Some(_) => after.get(1..).unwrap_or_default(),
        None => after,
    }
}

/// A piece of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Char(char),
    Open,
    Close,
}

impl Piece {
    /// The character that stands on this side of the next piece, and on the other side of the one before.
    fn char(self) -> char {
        match self {
            Self::Char(char) => char,
            Self::Open => '<',
            Self::Close => '>',
        }
    }
}

/// Writes pieces, with backslashes where they are needed.
fn write(pieces: &[Piece], marks: bool) -> String {
    let mut out = String::new();
    let mut before = None;
    for (index, piece) in pieces.iter().enumerate() {
        let after = pieces.get(index + 1).map(|piece| piece.char());
        match piece {
            Piece::Open => out.push_str("<<"),
            Piece::Close => out.push_str(">>"),
            Piece::Char('\n') => out.push_str("\\n"),
            Piece::Char('\r') => out.push_str("\\r"),
            Piece::Char('\t') => out.push_str("\\t"),
            Piece::Char(char) => {
                let twin = marks && (before == Some(*char) || after == Some(*char));
                let escape = match char {
                    '<' => twin || after == Some('|'),
                    '>' => twin,
                    '\\' => after.is_some_and(|after| "\\<>nrt\n\r\t".contains(after)),
                    _ => false,
                };
                if escape {
                    out.push('\\');
                }
                out.push(*char);
            }
        }
        before = Some(piece.char());
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn strings(tokens: &[&str]) -> Vec<String> {
        tokens.iter().map(|&token| token.to_owned()).collect()
    }

    /// Tokens that hold what lines are written with.
    fn token() -> impl Strategy<Value = String> {
        "(<|>|<<|>>|\\\\|\\\\n|n|t|\n|\t|\\||é|[a-c ]){0,4}"
    }

    /// The bytes that runs of marked tokens take up.
    fn runs(tokens: &[String], marks: &[bool]) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        for (token, mark) in tokens.iter().zip(marks) {
            let end = at + token.len();
            match runs.last_mut() {
                _ if !mark || token.is_empty() => {}
                Some(last) if last.end == at => last.end = end,
                _ => runs.push(at..end),
            }
            at = end;
        }
        runs
    }

    #[test]
    fn runs_of_marked_tokens_share_their_marks() {
        let tokens = strings(&["over", " the", " moon", "!"]);
        assert_eq!(
            marked(&tokens, &[true, true, true, false]),
            "<<over the moon>>!"
        );
        assert_eq!(
            marked(&tokens, &[true, false, true, false]),
            "<<over>> the<< moon>>!"
        );
    }

    #[test]
    fn code_is_read_back() {
        let tokens = strings(&["cout", " <<", " x", "<", "y", ">>", "\n", "\\n"]);
        let marks = [false, true, false, true, true, false, false, true];
        let line = marked(&tokens, &marks);
        assert_eq!(line, "cout<< \\<\\<>> x<<\\<y>>\\>\\>\\n<<\\\\n>>");
        let read = read_marked(&line).unwrap();
        assert_eq!(read.text, tokens.concat());
        assert_eq!(read.marks, runs(&tokens, &marks));
    }

    #[test]
    fn special_tokens_do_not_end_the_conversation() {
        assert_eq!(line("a<|im_end|>b < c"), "a\\<|im_end|>b < c");
        assert_eq!(read_line("a\\<|im_end|>b < c"), "a<|im_end|>b < c");
    }

    #[test]
    fn levels_are_rounded_up() {
        assert_eq!(level(0.0, 5.0), 0);
        assert_eq!(level(0.1, 5.0), 1);
        assert_eq!(level(5.0, 5.0), 10);
        assert_eq!(level(9.0, 5.0), 10);
        assert_eq!(level(0.0, 0.0), 0);
    }

    #[test]
    fn only_firing_tokens_are_strong() {
        assert_eq!(strong(&[0.0, 0.3, 1.0], 0.3), [false, true, true]);
        assert_eq!(strong(&[0.0, 0.0], 0.0), [false, false]);
    }

    #[test]
    fn marks_that_do_not_pair_are_not_read() {
        for line in ["<<a", "a>>", "<<a<<b>>", "<<a>>>>"] {
            assert_eq!(read_marked(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn marked_tokens_round_trip(
            (tokens, marks) in vec((token(), any::<bool>()), 0..12).prop_map(|v| v.into_iter().unzip::<_, _, Vec<_>, Vec<_>>())
        ) {
            let line = marked(&tokens, &marks);
            prop_assert!(!line.contains('\n'));
            let read = read_marked(&line).expect("marks pair up");
            prop_assert_eq!(&read.text, &tokens.concat());
            prop_assert_eq!(&read.marks, &runs(&tokens, &marks));
        }

        #[test]
        fn lines_round_trip(text in token(), more in token()) {
            let text = text + &more;
            let line = line(&text);
            prop_assert!(!line.contains("<|") || line.contains("\\<|"));
            prop_assert_eq!(read_line(&line), text);
        }
    }
}
