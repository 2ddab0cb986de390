//! Shuffles a stream in bounded memory: each document is drawn from a window that is filled up again.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::Error;

/// Documents in the window.
const WINDOW: usize = 4096;

/// Bytes of text at which the window counts as full, however few the documents.
const WINDOW_BYTES: usize = 256 << 20;

/// The texts of `I` in an order drawn by the seed.
pub(super) struct Shuffled<I> {
    texts: I,
    ended: bool,
    window: Vec<String>,
    bytes: usize,
    rng: ChaCha8Rng,
}

impl<I: Iterator<Item = Result<String, Error>>> Shuffled<I> {
    pub(super) fn new(texts: I, rng: ChaCha8Rng) -> Self {
        Self {
            texts,
            ended: false,
            window: Vec::new(),
            bytes: 0,
            rng,
        }
    }
}

impl<I: Iterator<Item = Result<String, Error>>> Iterator for Shuffled<I> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended && self.window.len() < WINDOW && self.bytes < WINDOW_BYTES {
            match self.texts.next() {
                Some(Ok(text)) => {
                    self.bytes += text.len();
                    self.window.push(text);
                }
                Some(Err(error)) => {
                    self.ended = true;
                    self.window.clear();
                    return Some(Err(error));
                }
                None => self.ended = true,
            }
        }
        if self.window.is_empty() {
            return None;
        }
        let text = self
            .window
            .swap_remove(self.rng.random_range(0..self.window.len()));
        self.bytes -= text.len();
        Some(Ok(text))
    }
}
