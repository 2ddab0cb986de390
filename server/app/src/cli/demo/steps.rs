//! The steps of the demonstration: what is being done, then what was done.

use std::{io, sync::Mutex, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use super::super::{format::bytes, output::Output, table::wrapped};

/// Width of the first column.
const NAME: usize = 9;

/// Shows steps: a moving line on a terminal, plain lines elsewhere.
pub(super) struct Steps {
    out: Output,
    bar: Mutex<Option<ProgressBar>>,
}

impl Steps {
    pub(super) fn new(out: &Output) -> Self {
        // The demonstration is for people.
        Self {
            out: Output {
                json: false,
                ..out.clone()
            },
            bar: Mutex::new(None),
        }
    }

    pub(super) fn out(&self) -> &Output {
        &self.out
    }

    /// Something that begins and takes a while.
    pub(super) fn begin(&self, text: &str) {
        self.clear();
        if !self.out.interactive {
            return self.out.remark(format!("{text} …"));
        }
        let bar = ProgressBar::new_spinner().with_message(format!("{text} …"));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.set(Some(bar));
    }

    /// How far a download is, of the step that has begun.
    pub(super) fn bytes(&self, done: u64, total: u64) {
        let slot = self
            .bar
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(bar) = slot.as_ref() else { return };
        if bar.length() != Some(total) {
            let style = ProgressStyle::with_template("{spinner} {bar:20} {prefix:20} {wide_msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸─"),
            );
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.set_prefix(format!("{} of {}", bytes(done), bytes(total)));
    }

    /// The step is done; this is what came of it.
    pub(super) fn done(&self, name: &str, text: &str) -> io::Result<()> {
        self.clear();
        let indent = format!("\n{}", " ".repeat(NAME + 3));
        let lines = wrapped(text, self.out.width.saturating_sub(indent.len()));
        let text = lines.join(&indent);
        let sign = self.out.style.good("✓");
        self.out.line(format!("{sign} {name:NAME$} {text}"))
    }

    /// A line of its own.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        self.clear();
        for line in text.lines() {
            self.out.line(wrapped(line, self.out.width).join("\n"))?;
        }
        Ok(())
    }

    /// Takes the moving line away.
    pub(super) fn clear(&self) {
        self.set(None);
    }

    fn set(&self, bar: Option<ProgressBar>) {
        let mut slot = self
            .bar
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(old) = slot.take() {
            old.finish_and_clear();
        }
        *slot = bar;
    }
}
