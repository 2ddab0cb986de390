//! Plain text: a file that is one document, and a file with one document on each line.

use std::io::{BufRead, BufReader, Read};

use super::{Texts, source::Source};
use crate::Error;

/// What some editors put at the start of a file; it is no part of the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The source as one document of at most `limit` bytes.
pub(super) fn whole(source: Source, limit: usize) -> Texts {
    Box::new(std::iter::once_with(move || read_whole(source, limit)))
}

fn read_whole(mut source: Source, limit: usize) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = source
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| source.failed(error))?;
    let path = source.path();
    if bytes.len() > limit {
        return Err(Error::DocumentTooLarge {
            path: path.to_owned(),
            line: None,
            limit,
        });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error
            .as_bytes()
            .get(..error.utf8_error().valid_up_to())
            .unwrap_or_default();
        let line = valid.split(|&byte| byte == b'\n').count() as u64;
        Error::CorpusNotUtf8 {
            path: path.to_owned(),
            line,
        }
    })?;
    Ok(text
        .strip_prefix(BYTE_ORDER_MARK)
        .map(str::to_owned)
        .unwrap_or(text))
}

/// Each line of the source as a document of at most `limit` bytes.
pub(super) fn each(source: Source, limit: usize) -> Texts {
    Box::new(Lines::new(source, limit).map(|line| line.map(|line| line.text)))
}

/// A line of a file.
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// Without what ends it.
    pub(super) text: String,
}

/// The lines of a file.
pub(super) struct Lines {
    file: BufReader<Source>,
    limit: usize,
    number: u64,
}

impl Lines {
    pub(super) fn new(source: Source, limit: usize) -> Self {
        Self {
            file: BufReader::with_capacity(1 << 16, source),
            limit,
            number: 0,
        }
    }

    pub(super) fn source(&self) -> &Source {
        self.file.get_ref()
    }

    fn read(&mut self) -> Result<Option<Line>, Error> {
        let mut bytes = Vec::new();
        // Room for the line and its two bytes of ending, so that a line at the limit is told from one beyond it.
        let mut bounded = self.file.by_ref().take(self.limit as u64 + 2);
        let read = bounded.read_until(b'\n', &mut bytes);
        read.map_err(|error| self.source().failed(error))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let number = self.number;
        let path = || self.source().path().to_owned();
        if bytes.len() > self.limit {
            return Err(Error::DocumentTooLarge {
                path: path(),
                line: Some(number),
                limit: self.limit,
            });
        }
        let mut text = String::from_utf8(bytes).map_err(|_| Error::CorpusNotUtf8 {
            path: path(),
            line: number,
        })?;
        if number == 1 && text.starts_with(BYTE_ORDER_MARK) {
            text.remove(0);
        }
        Ok(Some(Line { number, text }))
    }
}

impl Iterator for Lines {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::source::Packing, *};

    #[test]
    fn a_document_at_the_limit_is_read_and_one_beyond_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let source =
            || Source::open(&path, Packing::Plain, &latentd_files::Interrupt::new()).unwrap();
        for (content, fits) in [("12345", true), ("123456", false)] {
            for ending in ["", "\n", "\r\n"] {
                fs_err::write(&path, format!("{content}{ending}next{ending}")).unwrap();
                let limit = if ending.is_empty() { 9 } else { 5 };
                let first = each(source(), limit).next().unwrap();
                match first {
                    Ok(_) => assert!(fits),
                    Err(error) => {
                        assert!(
                            !fits && matches!(error, Error::DocumentTooLarge { line: Some(1), .. })
                        );
                    }
                }
            }
            fs_err::write(&path, content).unwrap();
            assert_eq!(whole(source(), 5).next().unwrap().is_ok(), fits);
        }
    }
}
