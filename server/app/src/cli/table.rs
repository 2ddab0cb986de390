//! Columns that line up, whatever the colours and widths of what is in them.

use std::fmt::Write as _;

use super::{output::Output, style::Style};

/// Space between columns.
const GAP: &str = "  ";

/// The narrowest that a column of text gets where the terminal has no room.
const NARROWEST: usize = 12;

/// A table. Columns whose heading begins with `>` are aligned to the right; those whose heading begins with `?` are left out where
/// the terminal has no room for them, the last ones first.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

struct Column {
    title: String,
    right: bool,
    optional: bool,
}

impl Table {
    pub(super) fn new<H: Into<String>>(headings: impl IntoIterator<Item = H>) -> Self {
        let column = |heading: String| {
            let (marks, title) =
                heading.split_at(heading.len() - heading.trim_start_matches(['>', '?']).len());
            Column {
                title: title.to_owned(),
                right: marks.contains('>'),
                optional: marks.contains('?'),
            }
        };
        Self {
            columns: headings.into_iter().map(Into::into).map(column).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines, each with its end and none wider than `width`: columns are left out or cut, the last one first.
    pub(super) fn render(&self, style: Style, width: usize) -> String {
        let widths = self.fit(width);
        let titles: Vec<String> = self.columns.iter().map(|c| c.title.clone()).collect();
        let mut text = style.dim(&self.line(&titles, &widths));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
            text.push('\n');
        }
        text
    }

    /// The width of each column; none for one that is left out.
    fn fit(&self, width: usize) -> Vec<Option<usize>> {
        let mut widths: Vec<Option<usize>> = (0..self.columns.len())
            .map(|index| Some(self.natural(index)))
            .collect();
        let total = |widths: &[Option<usize>]| {
            let shown: Vec<usize> = widths.iter().flatten().copied().collect();
            shown.iter().sum::<usize>() + GAP.len() * shown.len().saturating_sub(1)
        };
        self.shrink_last(&mut widths, width, &total);
        while total(&widths) > width {
            let spare = (0..widths.len()).rev().find(|&index| {
                let optional = self
                    .columns
                    .get(index)
                    .is_some_and(|column| column.optional);
                optional && widths.get(index).is_some_and(Option::is_some)
            });
            let Some(width) = spare.and_then(|index| widths.get_mut(index)) else {
                break;
            };
            *width = None;
        }
        while total(&widths) > width {
            let shrinkable = widths
                .iter_mut()
                .zip(&self.columns)
                .filter_map(|(width, column)| {
                    width
                        .as_mut()
                        .filter(|width| !column.right && **width > NARROWEST)
                });
            match shrinkable.max_by_key(|width| **width) {
                Some(widest) => *widest -= 1,
                None => break,
            }
        }
        // What leaving out has freed is the last column's.
        let last = self.columns.len().saturating_sub(1);
        let free = width.saturating_sub(total(&widths));
        if let Some(Some(last_width)) = widths.get_mut(last) {
            *last_width = (*last_width)
                .saturating_add(free)
                .min(self.natural(last).max(*last_width));
        }
        widths
    }

    /// Cuts the last column, if it is text, as far as it can be cut.
    fn shrink_last(
        &self,
        widths: &mut [Option<usize>],
        width: usize,
        total: &dyn Fn(&[Option<usize>]) -> usize,
    ) {
        let over = total(widths).saturating_sub(width);
        let text = self.columns.last().is_some_and(|column| !column.right);
        if let Some(Some(last)) = widths.last_mut().filter(|_| text) {
            *last = (*last).min((*last).saturating_sub(over).max(2 * NARROWEST));
        }
    }

    fn natural(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let widest = cells.map(|cell| console::measure_text_width(cell)).max();
        let title = self
            .columns
            .get(index)
            .map_or(0, |c| console::measure_text_width(&c.title));
        widest.unwrap_or_default().max(title)
    }

    fn line(&self, cells: &[String], widths: &[Option<usize>]) -> String {
        let mut line = String::new();
        for ((cell, column), width) in cells.iter().zip(&self.columns).zip(widths) {
            let Some(width) = *width else { continue };
            if !line.is_empty() {
                line.push_str(GAP);
            }
            let cell = console::truncate_str(cell, width, "…");
            let padding = " ".repeat(width.saturating_sub(console::measure_text_width(&cell)));
            if column.right {
                line.push_str(&padding);
            }
            line.push_str(&cell);
            if !column.right {
                line.push_str(&padding);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Names and values, one pair a line; values that are too wide go on in the next line.
pub(super) fn pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a str, String)>,
    out: &Output,
) -> String {
    let pairs: Vec<(&str, String)> = pairs.into_iter().collect();
    let widest = pairs
        .iter()
        .map(|(name, _)| console::measure_text_width(name))
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for (name, value) in pairs {
        let padding = " ".repeat(widest.saturating_sub(console::measure_text_width(name)));
        let indent = " ".repeat(widest + GAP.len());
        let value =
            wrapped(&value, out.width.saturating_sub(indent.len())).join(&format!("\n{indent}"));
        let _ = writeln!(text, "{}{padding}{GAP}{value}", out.style.dim(name));
    }
    text
}

/// Text in lines of at most `width` columns, as far as its words allow.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let wide = console::measure_text_width(word);
        let first = used == 0;
        if let Some(line) = lines
            .last_mut()
            .filter(|_| first || used + 1 + wide <= width)
        {
            if !first {
                line.push(' ');
            }
            line.push_str(word);
            used += wide + usize::from(!first);
        } else {
            lines.push(word.to_owned());
            used = wide;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new([">latent", "token", "context"]);
        table.row(["7".into(), "‘é’".into(), "short".into()]);
        table.row([
            "1234567".into(),
            "‘ab’".into(),
            "a context that is too long".into(),
        ]);
        let text = table.render(Style::new(false), 30);
        assert_eq!(
            text,
            " latent  token  context\n      7  ‘é’    short\n1234567  ‘ab’   a context tha…\n"
        );
    }

    #[test]
    fn colours_take_no_room() {
        let mut table = Table::new(["a", "b"]);
        table.row([Style::new(true).bad("x"), "y".into()]);
        let text = table.render(Style::new(false), 80);
        assert_eq!(console::strip_ansi_codes(&text), "a  b\nx  y\n");
    }

    #[test]
    fn pairs_line_up() {
        let mut out = Output::plain(80);
        let rows = || [("a", "1".to_owned()), ("long", "one two three".to_owned())];
        assert_eq!(pairs(rows(), &out), "a     1\nlong  one two three\n");
        out.width = 14;
        assert_eq!(pairs(rows(), &out), "a     1\nlong  one two\n      three\n");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut table = Table::new(["name", ">count", "?state", "text"]);
        table.row([
            "a-name-that-is-rather-long".into(),
            "1 234".into(),
            "ready".into(),
            "and a text that is longer than all".into(),
        ]);
        for width in [40, 50, 60, 80, 100] {
            let text = table.render(Style::new(false), width);
            let widest = text.lines().map(console::measure_text_width).max().unwrap();
            assert!(widest <= width, "{widest} of {width}:\n{text}");
        }
        let narrow = table.render(Style::new(false), 50);
        assert!(
            !narrow.contains("state") && narrow.contains("1 234"),
            "{narrow}"
        );
        assert!(table.render(Style::new(false), 100).contains("state"));
    }
}
