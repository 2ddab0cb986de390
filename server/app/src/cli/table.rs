//! Columns that line up, whatever the colours and widths of what is in them.

use std::fmt::Write as _;

use super::style::Style;

/// Space between columns.
const GAP: &str = "  ";

/// A table; columns whose heading begins with `>` are aligned to the right.
pub(super) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<H: Into<String>>(headings: impl IntoIterator<Item = H>) -> Self {
        Self {
            headings: headings.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines, each with its end; what is wider than `width` is cut in the last column.
    pub(super) fn render(&self, style: Style, width: usize) -> String {
        let titles: Vec<String> = self
            .headings
            .iter()
            .map(|heading| heading.trim_start_matches('>').to_owned())
            .collect();
        let columns: Vec<usize> = titles
            .iter()
            .enumerate()
            .map(|(column, title)| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| console::measure_text_width(cell)).max();
                widest
                    .unwrap_or_default()
                    .max(console::measure_text_width(title))
            })
            .collect();
        let mut text = String::new();
        let heading = style.dim(&self.line(&titles, &columns, width));
        text.push_str(&heading);
        text.push('\n');
        for row in &self.rows {
            text.push_str(&self.line(row, &columns, width));
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[String], columns: &[usize], width: usize) -> String {
        let mut line = String::new();
        let last = columns.len().saturating_sub(1);
        for (index, (cell, &column)) in cells.iter().zip(columns).enumerate() {
            let right = self
                .headings
                .get(index)
                .is_some_and(|heading| heading.starts_with('>'));
            let padding = " ".repeat(column.saturating_sub(console::measure_text_width(cell)));
            if index > 0 {
                line.push_str(GAP);
            }
            if right {
                line.push_str(&padding);
                line.push_str(cell);
            } else if index < last {
                line.push_str(cell);
                line.push_str(&padding);
            } else {
                let left = width.saturating_sub(console::measure_text_width(&line));
                line.push_str(&console::truncate_str(cell, left.max(8), "…"));
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Names and values, one pair a line.
pub(super) fn pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a str, String)>,
    style: Style,
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
        let _ = writeln!(text, "{}{padding}{GAP}{value}", style.dim(name));
    }
    text
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
        let text = pairs(
            [("a", "1".to_owned()), ("long", "2".to_owned())],
            Style::new(false),
        );
        assert_eq!(text, "a     1\nlong  2\n");
    }
}
