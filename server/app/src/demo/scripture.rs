//! The King James Bible as plain text, one chapter a document: what the demonstration reads where the Brown corpus cannot be
//! had.
//!
//! The package holds an SQLite database. Python reads it: it is at hand, as it fetched the package, and has SQLite built in.

use std::path::Path;

use super::{Error, tool};

/// Prints each verse as `book TAB chapter TAB text`, in the order of the book.
const READ: &str = "import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    'select TestamentID * 100 + BookID, ChapterID, Passage1, Passage2 from Bible order by TestamentID, BookID, ChapterID, rowid')
sys.stdout.reconfigure(encoding='utf-8')
for book, chapter, *passages in rows:
    text = ' '.join(' '.join(p for p in passages if p).split())
    print(book, chapter, text, sep='\\t')
";

/// A chapter: a name for its file, and its text.
pub(super) struct Chapter {
    pub(super) name: String,
    pub(super) text: String,
}

/// The chapters of the database at `path`.
pub(super) async fn chapters(path: &Path) -> Result<Vec<Chapter>, Error> {
    let mut python = tool::command("python3");
    python.arg("-c").arg(READ).arg(path);
    let printed = tool::output(python, "read the King James Bible").await?;
    Ok(collect(&printed))
}

fn collect(printed: &str) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for line in printed.lines() {
        let mut fields = line.splitn(3, '\t');
        let (Some(book), Some(chapter), Some(verse)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let verse = without_number(verse);
        let name = format!("{book:0>3}-{chapter:0>3}");
        match chapters.last_mut() {
            Some(last) if last.name == name => {
                last.text.push(' ');
                last.text.push_str(verse);
            }
            _ => chapters.push(Chapter {
                name,
                text: verse.to_owned(),
            }),
        }
    }
    for chapter in &mut chapters {
        chapter.text.push('\n');
    }
    chapters
}

/// A verse without the `3:16` at its start.
fn without_number(verse: &str) -> &str {
    match verse.split_once(' ') {
        Some((number, text)) if number.contains(':') && !number.contains(char::is_alphabetic) => {
            text
        }
        _ => verse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verses_join_into_chapters() {
        let printed = "101\t1\t1:1 In the beginning\n101\t1\t1:2 And the earth\n101\t2\t2:1 Thus the heavens\nodd line\n";
        let chapters = collect(printed);
        let texts: Vec<(&str, &str)> = chapters
            .iter()
            .map(|chapter| (chapter.name.as_str(), chapter.text.as_str()))
            .collect();
        assert_eq!(
            texts,
            [
                ("101-001", "In the beginning And the earth\n"),
                ("101-002", "Thus the heavens\n")
            ]
        );
    }

    #[test]
    fn only_numbers_are_cut() {
        assert_eq!(without_number("3:16 For God so loved"), "For God so loved");
        assert_eq!(without_number("Selah: a pause"), "Selah: a pause");
    }
}
