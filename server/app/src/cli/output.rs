//! The one place that writes to the terminal: results to standard output, remarks to standard error.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;

use super::style::Style;
use crate::config::Environment;

/// Narrower terminals are written to as if they had this many columns.
const NARROWEST: usize = 40;

/// Whether to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// Where results go, and how they look.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Results are JSON.
    pub(super) json: bool,
    /// Colours of results.
    pub(super) style: Style,
    /// Colours of remarks.
    pub(super) remarks: Style,
    /// Columns of the terminal; without one, no limit.
    pub(super) width: usize,
    /// Remarks are read on a terminal: progress can be drawn.
    pub(super) interactive: bool,
}

#[expect(
    clippy::unused_self,
    reason = "who has no output at hand has nothing to print"
)]
impl Output {
    /// What suits the standard output and error of this process.
    pub(super) fn of_process(json: bool, colour: Colour, environment: &Environment) -> Self {
        let (result_terminal, remark_terminal) =
            (io::stdout().is_terminal(), io::stderr().is_terminal());
        let plain =
            environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb");
        let coloured = |terminal: bool| match colour {
            Colour::Auto => terminal && !plain,
            Colour::Always => true,
            Colour::Never => false,
        };
        // What is read by a program is not cut, unless COLUMNS says how wide it shall be.
        let asked = environment.get("COLUMNS").and_then(|n| n.parse().ok());
        let width = match (asked, console::Term::stdout().size_checked()) {
            (Some(columns), _) => columns,
            (None, Some((_, columns))) if result_terminal => usize::from(columns),
            _ => usize::MAX,
        };
        let width = width.max(NARROWEST);
        Self {
            json,
            style: Style::new(coloured(result_terminal) && !json),
            remarks: Style::new(coloured(remark_terminal)),
            width,
            interactive: remark_terminal && !plain,
        }
    }

    /// Plain text of this width, for tests.
    #[cfg(test)]
    pub(super) fn plain(width: usize) -> Self {
        let style = Style::new(false);
        Self {
            json: false,
            style,
            remarks: style,
            width,
            interactive: false,
        }
    }

    /// Prints a line of the result.
    pub(super) fn line(&self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Prints text that has its own line ends.
    pub(super) fn text(&self, text: &str) -> io::Result<()> {
        io::stdout().lock().write_all(text.as_bytes())
    }

    /// Prints a result as one line of JSON.
    pub(super) fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, value)?;
        writeln!(out)
    }

    /// Prints a result as JSON, or as `human` says.
    pub(super) fn show<T: Serialize>(
        &self,
        value: &T,
        human: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        if self.json {
            return self.json(value);
        }
        let text = human(value);
        if text.is_empty() || text.ends_with('\n') {
            self.text(&text)
        } else {
            self.line(text)
        }
    }

    /// Prints a list as JSON, one object a line, or as `human` says.
    pub(super) fn list<T: Serialize>(
        &self,
        items: &[T],
        human: impl FnOnce(&[T]) -> String,
    ) -> io::Result<()> {
        if self.json {
            return items.iter().try_for_each(|item| self.json(item));
        }
        self.show(&items, |items| human(items))
    }

    /// Prints a remark, which is no part of the result.
    pub(super) fn remark(&self, text: impl Display) {
        // Nobody to tell when this fails.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
