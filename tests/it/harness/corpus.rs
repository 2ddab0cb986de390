//! Text to build caches from, the same on every machine.

use std::path::{Path, PathBuf};

const WORDS: [&str; 24] = [
    "the", "a", "old", "new", "river", "contract", "leader", "signed", "carried", "through",
    "bridge", "paper", "morning", "evening", "city", "under", "over", "quiet", "green", "stone",
    "letter", "window", "garden", "winter",
];

/// `words` words of nonsense that no two seeds share, in sentences.
pub(crate) fn prose(seed: u64, words: usize) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::new();
    for index in 0..words {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
        text.push_str(if index % 9 == 8 { ". " } else { " " });
    }
    text
}

/// A folder of text files, one document each, below `parent`.
pub(crate) fn folder(parent: &Path, documents: usize, words: usize) -> PathBuf {
    let folder = parent.join("corpus");
    fs_err::create_dir_all(&folder).unwrap();
    for index in 0..documents {
        fs_err::write(
            folder.join(format!("{index:04}.txt")),
            prose(index as u64, words),
        )
        .unwrap();
    }
    folder
}
