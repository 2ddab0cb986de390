//! Reading an answer byte by byte: what has come says what may come.

use std::sync::Arc;

use super::Piece;

/// Longest text of a string, in bytes: a model that repeats itself in one must come to its end.
const LONGEST_TEXT: usize = 256;

/// What is still to come, the next at the end.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    ahead: Vec<Ahead>,
}

/// Something that is still to come.
#[derive(Clone, Debug)]
enum Ahead {
    /// The pieces from one on.
    Pieces(Arc<[Piece]>, usize),
    /// A literal from a byte on.
    Literal(Arc<[u8]>, usize),
    /// Of the alternatives those that begin with the bytes that have come.
    OneOf(Arc<[Arc<[u8]>]>, Vec<u8>),
    /// A string, of which so many bytes have come.
    Text(usize),
    /// What follows a backslash.
    Escape(usize),
    /// So many hexadecimal digits.
    Hex(usize, u8),
    /// An array, of which so many items have come.
    Items(Items, usize),
}

#[derive(Clone, Debug)]
struct Items {
    item: Arc<[Piece]>,
    least: usize,
    most: usize,
}

impl Reader {
    pub(super) fn new(pieces: &Arc<[Piece]>) -> Self {
        Self {
            ahead: vec![Ahead::Pieces(Arc::clone(pieces), 0)],
        }
    }

    /// Whether the answer may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.ahead.iter().all(|ahead| match ahead {
            Ahead::OneOf(all, come) => is_one(all, come),
            Ahead::Pieces(pieces, from) => *from >= pieces.len(),
            Ahead::Literal(..)
            | Ahead::Text(_)
            | Ahead::Escape(_)
            | Ahead::Hex(..)
            | Ahead::Items(..) => false,
        })
    }

    /// Whether the answer must end here.
    pub(super) fn is_over(&self) -> bool {
        self.is_complete()
            && !self
                .ahead
                .iter()
                .any(|ahead| matches!(ahead, Ahead::OneOf(..)))
    }

    /// Whether all these bytes may come; nothing changes.
    pub(super) fn takes(&self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let mut reader = self.clone();
        bytes.iter().all(|&byte| reader.read(byte))
    }

    /// Goes on with a byte; false if it must not come, and then nothing more may be read.
    pub(super) fn read(&mut self, byte: u8) -> bool {
        while let Some(ahead) = self.ahead.pop() {
            match ahead {
                Ahead::Pieces(pieces, from) => self.open(pieces, from),
                Ahead::Literal(literal, from) => return self.literal(literal, from, byte),
                Ahead::OneOf(all, mut come) => {
                    come.push(byte);
                    if all.iter().any(|one| one.starts_with(&come)) {
                        self.ahead.push(Ahead::OneOf(all, come));
                        return true;
                    }
                    come.pop();
                    // If it has come whole, the byte is of what follows.
                    if !is_one(&all, &come) {
                        return false;
                    }
                }
                Ahead::Text(come) => return self.text(come, byte),
                Ahead::Escape(come) => return self.escape(come, byte),
                Ahead::Hex(come, left) => {
                    self.ahead.push(match left {
                        0 | 1 => Ahead::Text(come + 1),
                        _ => Ahead::Hex(come + 1, left - 1),
                    });
                    return byte.is_ascii_hexdigit();
                }
                Ahead::Items(items, count) => return self.items(items, count, byte),
            }
        }
        false
    }

    /// Puts the piece `from` before those behind it.
    fn open(&mut self, pieces: Arc<[Piece]>, from: usize) {
        let ahead = match pieces.get(from) {
            None => return,
            Some(Piece::Literal(literal)) => Ahead::Literal(Arc::clone(literal), 0),
            Some(Piece::OneOf(all)) => Ahead::OneOf(Arc::clone(all), Vec::new()),
            Some(Piece::Text) => Ahead::Text(0),
            Some(Piece::Items { item, least, most }) => {
                let items = Items {
                    item: Arc::clone(item),
                    least: *least,
                    most: *most,
                };
                Ahead::Items(items, 0)
            }
        };
        if from + 1 < pieces.len() {
            self.ahead.push(Ahead::Pieces(pieces, from + 1));
        }
        self.ahead.push(ahead);
    }

    fn literal(&mut self, literal: Arc<[u8]>, from: usize, byte: u8) -> bool {
        let fits = literal.get(from) == Some(&byte);
        if from + 1 < literal.len() {
            self.ahead.push(Ahead::Literal(literal, from + 1));
        }
        fits
    }

    fn text(&mut self, come: usize, byte: u8) -> bool {
        match byte {
            b'"' => return true,
            b'\\' => self.ahead.push(Ahead::Escape(come + 1)),
            _ => self.ahead.push(Ahead::Text(come + 1)),
        }
        // A character that has begun is finished, whatever the length.
        byte >= b' ' && (come < LONGEST_TEXT || (0x80..0xc0).contains(&byte))
    }

    fn escape(&mut self, come: usize, byte: u8) -> bool {
        self.ahead.push(match byte {
            b'u' => Ahead::Hex(come + 1, 4),
            _ => Ahead::Text(come + 1),
        });
        b"\"\\/bfnrtu".contains(&byte)
    }

    fn items(&mut self, items: Items, count: usize, byte: u8) -> bool {
        if byte == b']' {
            return count >= items.least;
        }
        if count >= items.most {
            return false;
        }
        let pieces = Ahead::Pieces(Arc::clone(&items.item), 0);
        self.ahead.push(Ahead::Items(items, count + 1));
        self.ahead.push(pieces);
        if count == 0 {
            // The first item has no comma before it: the byte is its own.
            return self.read(byte);
        }
        self.ahead.push(Ahead::Literal(Arc::from(*b" "), 0));
        byte == b','
    }
}

fn is_one(all: &[Arc<[u8]>], come: &[u8]) -> bool {
    all.iter().any(|one| **one == *come)
}
