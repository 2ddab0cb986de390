//! Files of a folder that are no part of the corpus: how many, and the first of them by name.

use std::{fmt, path::Path};

/// Files that are named; of the others there is the number.
const NAMED: usize = 20;

/// What was left out of the folders of a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many files and folders.
    pub count: u64,
    /// The first of them, each with why.
    pub named: Vec<String>,
}

impl Skipped {
    pub(super) fn add(&mut self, path: &Path, why: &str) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{} ({why})", path.display()));
        }
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.named.join(", "))?;
        match self.count - self.named.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
