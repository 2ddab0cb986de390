//! Damaged files: cut off at any length, or with bytes changed. Each gives a typed error or a sound model, never a panic.

use std::path::Path;

use proptest::prelude::*;

use super::golden::{copy, path, take_all};

/// Lengths to cut a file to: every one at its beginning, many within its header, some in its data.
fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    (0..whole.min(800))
        .chain((800..whole.min(12_000)).step_by(23))
        .chain((12_000..whole).step_by(997))
}

/// Writes a new file in the place of the old one: some file systems wait for the disk where an old one is cut to nothing.
fn rewrite(file: &Path, bytes: &[u8]) {
    fs_err::remove_file(file).unwrap();
    fs_err::write(file, bytes).unwrap();
}

/// Cuts `file` to each length and opens `model`.
fn cut(file: &Path, model: &Path) {
    let whole = fs_err::read(file).unwrap();
    // A newline that ends a text, and zeros that fill up the last tensor, are not missed.
    let padding = whole
        .iter()
        .rev()
        .take_while(|&&byte| byte == b'\n' || byte == 0)
        .count();
    let needed = whole.len() - padding;
    for length in lengths(needed).chain([needed - 1]) {
        rewrite(file, &whole[..length]);
        assert!(
            take_all(model).is_err(),
            "{} cut to {length} bytes is accepted",
            file.display()
        );
    }
    rewrite(file, &whole);
    take_all(model).unwrap();
}

#[test]
fn files_that_end_early_are_refused() {
    for (folder, file) in [
        ("models/llama", "model.safetensors"),
        ("models/llama", "config.json"),
        ("models/llama", "tokenizer.json"),
        ("models/llama", "tokenizer_config.json"),
        ("models/llama-sharded", "model.safetensors.index.json"),
        ("models/llama-sharded", "model-00001-of-00003.safetensors"),
    ] {
        let copied = copy(folder);
        cut(&copied.path().join(file), copied.path());
    }
    for file in [
        "models/llama.gguf",
        "models/gpt2.gguf",
        "tokenizer/sentencepiece.gguf",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let copied = folder.path().join("model.gguf");
        fs_err::copy(path(file), &copied).unwrap();
        cut(&copied, &copied);
    }
}

/// Changes bytes of `file`, and opens `model` and uses its tokenizer if it opens.
fn damage(file: &Path, model: &Path, changes: &[(prop::sample::Index, u8)]) {
    let mut bytes = fs_err::read(file).unwrap();
    let sound = bytes.clone();
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    rewrite(file, &bytes);
    if let Ok((files, _)) = take_all(model) {
        let _ = files
            .tokenizer
            .encode("The cat sat on the <|endoftext|> mat, déjà vu 漢字.", true);
        files.checkpoint.digest().unwrap();
    }
    rewrite(file, &sound);
}

/// Some bytes of a file, mostly with values that mean something in headers and JSON.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let value = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"\x00\x01\xff\x80[]{}\",:0189-.eE \\".to_vec())
    ];
    prop::collection::vec((any::<prop::sample::Index>(), value), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_json_is_refused_or_sound(which in 0usize..4, changes in changes()) {
        let (folder, file) = [
            ("models/llama", "config.json"),
            ("models/llama", "tokenizer.json"),
            ("models/gpt2", "config.json"),
            ("models/llama-sharded", "model.safetensors.index.json"),
        ][which];
        let copied = copy(folder);
        damage(&copied.path().join(file), copied.path(), &changes);
    }

    #[test]
    fn changed_headers_are_refused_or_sound(which in 0usize..4, at in 0usize..8000, value: u8) {
        let (source, file) = [
            ("models/gpt2", "model.safetensors"),
            ("models/llama-sharded", "model-00002-of-00003.safetensors"),
            ("models/llama.gguf", ""),
            ("tokenizer/sentencepiece.gguf", ""),
        ][which];
        let folder = if file.is_empty() { tempfile::tempdir().unwrap() } else { copy(source) };
        let file = if file.is_empty() { "model.gguf" } else { file };
        let damaged = folder.path().join(file);
        if file == "model.gguf" {
            fs_err::copy(path(source), &damaged).unwrap();
        }
        let mut bytes = fs_err::read(&damaged).unwrap();
        let at = at % bytes.len();
        bytes[at] = value;
        rewrite(&damaged, &bytes);
        damage(&damaged, folder.path(), &[]);
    }
}
