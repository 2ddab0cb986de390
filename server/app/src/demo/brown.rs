//! The Brown corpus as plain English: its tags stripped, its tokens put together again.
//!
//! A file is one text. A line is a sentence of `word/tag` pairs, blank lines lie between paragraphs, and headlines have tags
//! that end with `-hl`. Quotes are written as in TeX and stand before the comma or full stop that American print sets inside
//! them; `;`, `?` and `!` are written twice.

/// The text of one file of the corpus: paragraphs with a blank line between them.
pub(super) fn plain(tagged: &str) -> String {
    let mut text = String::with_capacity(tagged.len() / 2);
    let mut paragraph = String::new();
    for line in tagged.lines() {
        let tokens: Vec<(&str, &str)> = line
            .split_ascii_whitespace()
            .filter_map(|pair| pair.rsplit_once('/'))
            .collect();
        let headline = !tokens.is_empty() && tokens.iter().all(|(_, tag)| tag.ends_with("-hl"));
        if tokens.is_empty() || headline {
            end_paragraph(&mut text, &mut paragraph);
        }
        let sentence = sentence(tokens.iter().map(|(word, _)| *word));
        if !paragraph.is_empty() && !sentence.is_empty() {
            paragraph.push(' ');
        }
        paragraph.push_str(&sentence);
        if headline {
            end_paragraph(&mut text, &mut paragraph);
        }
    }
    end_paragraph(&mut text, &mut paragraph);
    text
}

fn end_paragraph(text: &mut String, paragraph: &mut String) {
    if paragraph.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(paragraph);
    text.push('\n');
    paragraph.clear();
}

/// How a token joins its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// A space on both sides.
    Word,
    /// No space before.
    Left,
    /// No space after.
    Right,
}

fn sentence<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut glued = true;
    let mut last = "";
    // A single quote looks the same on both ends; inside a quotation the next one ends it.
    let mut quoting = false;
    for word in words {
        if word == last && matches!(word, ";" | "?" | "!" | "," | ":") {
            continue;
        }
        last = word;
        let (word, join) = match word {
            "``" => ("\"", Join::Right),
            "''" => ("\"", Join::Left),
            "'" => {
                quoting = !quoting;
                ("'", if quoting { Join::Right } else { Join::Left })
            }
            "(" | "[" => (word, Join::Right),
            ")" | "]" | "," | "." | ";" | ":" | "?" | "!" => (word, Join::Left),
            _ => (word, Join::Word),
        };
        let word = without_codes(word);
        if word.is_empty() {
            continue;
        }
        if matches!(word.as_str(), "," | ".") && text.ends_with(['"', '\'']) && !glued {
            set_inside_quotes(&mut text, &word);
        } else {
            if !glued && join != Join::Left {
                text.push(' ');
            }
            text.push_str(&word);
        }
        glued = join == Join::Right;
    }
    text
}

/// `fire"` and `,` are `fire,"` in print, unless the quotation ends with a mark of its own.
fn set_inside_quotes(text: &mut String, mark: &str) {
    let end = text.trim_end_matches(['"', '\'']).len();
    if text[..end].ends_with(['?', '!', '.', ',', ';', ':']) {
        if mark == "," {
            text.push_str(mark);
        }
    } else {
        text.insert_str(end, mark);
    }
}

/// A word without the corpus's codes: `{t}` marks an index, `**zg` a symbol that was not on the keyboard, `*0` a
/// degree sign; two single quotes in a word are the sign for inches.
fn without_codes(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            let code = after
                .chars()
                .take(2)
                .take_while(char::is_ascii_lowercase)
                .count();
            rest = after.get(code..).unwrap_or_default();
        } else if let Some(after) = rest.strip_prefix("*0").or_else(|| rest.strip_prefix("*&0")) {
            text.push('°');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("''") {
            text.push('"');
            rest = after;
        } else {
            match next {
                '{' => text.push('('),
                '}' => text.push(')'),
                _ => text.push(next),
            }
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_punctuation_close_up() {
        let tagged = "\n\n\tThe/at jury/nn said/vbd ``/`` no/at evidence/nn ''/'' that/cs it/pps ,/, or/cc (/( any/dti )/) \
                      took/vbd place/nn ./.\n";
        assert_eq!(
            plain(tagged),
            "The jury said \"no evidence\" that it, or (any) took place.\n"
        );
    }

    #[test]
    fn commas_and_full_stops_go_inside_quotes() {
        let tagged = "\t``/`` It's/pps+bez out/rp ''/'' ,/, she/pps said/vbd ./.\n``/`` Burn/vb it/ppo ''/'' ./.\n";
        assert_eq!(plain(tagged), "\"It's out,\" she said. \"Burn it.\"\n");
        let asked = "\t``/`` Why/wrb ?/. ?/. ''/'' he/pps asked/vbd ./.";
        assert_eq!(plain(asked), "\"Why?\" he asked.\n");
        let ends = "\tHe/pps asked/vbd ``/`` why/wrb ?/. ?/. ''/'' ./.";
        assert_eq!(plain(ends), "He asked \"why?\"\n");
    }

    #[test]
    fn doubled_marks_are_single() {
        let tagged = "\tGo/vb ;/. ;/. go/vb !/. !/.\n";
        assert_eq!(plain(tagged), "Go; go!\n");
    }

    #[test]
    fn paragraphs_and_headlines_stand_apart() {
        let tagged = "\n\n\tOne/cd ./.\nTwo/cd ./.\n\n\n\tThree/cd ./.\nFootnotes/nns-hl :/:-hl \n\tFour/cd ./.\n";
        assert_eq!(
            plain(tagged),
            "One. Two.\n\nThree.\n\nFootnotes:\n\nFour.\n"
        );
    }

    #[test]
    fn single_quotes_open_and_close() {
        let tagged = "\tthe/at '/' second/od fence/nn '/' is/bez 'em/ppo+bez and/or/cc it/ppo ./.";
        assert_eq!(plain(tagged), "the 'second fence' is 'em and/or it.\n");
    }

    #[test]
    fn codes_become_signs() {
        let tagged = "\tf{t}/nn of/in 43*0C./nn and/cc 1/4''/nns of/in **zg/nil CuK**ya/nn";
        assert_eq!(plain(tagged), "f(t) of 43°C. and 1/4\" of CuK\n");
    }

    #[test]
    fn what_is_not_tagged_is_left_out() {
        assert_eq!(plain(""), "");
        assert_eq!(plain("no tags here\n\n/ //"), "/\n");
    }
}
