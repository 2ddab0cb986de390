//! Keys of a GGUF file's tokenizer: read as llama.cpp reads them, or refused by name.

use latentd_domain::{HasReason, Reason};
use serde::Deserialize;

use crate::{
    error::LoadError,
    tokenizer::Tokenizer,
    weights::{
        ModelFiles,
        golden::{Entry, gguf_with, path},
    },
};

type Metadata<'a> = &'a [(&'a str, Option<Entry<'a>>)];

fn open_as(name: &str, metadata: Metadata<'_>) -> Result<Tokenizer, LoadError> {
    let metadata: Vec<(String, _)> = metadata
        .iter()
        .map(|(key, entry)| (format!("tokenizer.ggml.{key}"), entry.clone()))
        .collect();
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(key, entry)| (key.as_str(), entry.clone()))
        .collect();
    Ok(ModelFiles::open(gguf_with(name, &metadata, &[]).path())?.tokenizer)
}

fn open(metadata: Metadata<'_>) -> Result<Tokenizer, LoadError> {
    open_as("models/llama.gguf", metadata)
}

fn refusal(metadata: Metadata<'_>) -> String {
    let error = open(metadata).unwrap_err();
    assert_eq!(error.reason(), Reason::MalformedTokenizer, "{error}");
    error.to_string()
}

fn pre(name: &str) -> (&'static str, Option<Entry<'_>>) {
    ("pre", Some(Entry::Text(name)))
}

/// The texts of the tokens of a text.
fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    let ids = tokenizer.encode_ids(text, false).unwrap();
    ids.iter()
        .map(|&id| tokenizer.token_text(id).to_owned())
        .collect()
}

#[test]
fn whole_tokens_go_before_merges_where_llama_cpp_has_it_so() {
    let no_merges = ("merges", Some(Entry::Texts(&[])));
    for (name, whole) in [
        ("llama-bpe", true),
        ("llama3", true),
        ("tekken", true),
        ("falcon3", true),
        ("lfm2", true),
        ("jina-v5-nano", true),
        ("gpt-2", false),
        ("smollm", false),
        ("qwen2", false),
        ("dbrx", false),
        ("smaug-bpe", false),
        ("gpt-4o", false),
        ("default", false),
    ] {
        let tokenizer = open(&[pre(name), no_merges.clone()]).unwrap();
        let expected: &[&str] = if whole { &["the"] } else { &["t", "h", "e"] };
        assert_eq!(pieces(&tokenizer, "the"), expected, "{name}");
    }
}

/// What llama.cpp makes of texts under many names; made by `tests/reference/gguf_splits.py`.
#[derive(Deserialize)]
struct Splits {
    texts: Vec<String>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    names: Vec<String>,
    /// Of the first texts.
    ids: Vec<Vec<u32>>,
}

#[test]
fn ids_are_those_of_llama_cpp() {
    let json = fs_err::read(path("tokenizer/splits.json")).unwrap();
    let splits: Splits = serde_json::from_slice(&json).unwrap();
    assert_eq!(splits.expected.len(), 8);
    for Expected { names, ids } in &splits.expected {
        for name in names {
            let tokenizer = open_as("tokenizer/splits.gguf", &[pre(name)]).unwrap();
            for (text, ids) in splits.texts.iter().zip(ids) {
                assert_eq!(
                    tokenizer.encode_ids(text, false).unwrap(),
                    *ids,
                    "{name}: {text}"
                );
            }
        }
    }
}

#[test]
fn a_pre_tokenizer_that_is_absent_or_unknown_is_refused() {
    let absent = refusal(&[("pre", None)]);
    assert!(
        absent.contains("tokenizer.ggml.pre") && absent.contains("gguf-new-metadata"),
        "{absent}"
    );
    let unknown = refusal(&[pre("my-own")]);
    assert!(
        unknown.contains("`my-own`") && unknown.contains("llama-bpe"),
        "{unknown}"
    );
    assert!(refusal(&[("pre", Some(Entry::U32(3)))]).contains("`tokenizer.ggml.pre` is 3"));
    // SentencePiece has none.
    assert!(open_as("tokenizer/sentencepiece.gguf", &[("pre", None)]).is_ok());
}

#[test]
fn keys_that_change_tokens_are_refused_by_name() {
    for (key, entry) in [
        ("remove_extra_whitespaces", Entry::Bool(true)),
        ("precompiled_charsmap", Entry::U32s(&[1, 2])),
        ("normalizer.lowercase", Entry::Bool(true)),
        ("suppress_tokens", Entry::I32s(&[5])),
        ("anything_new", Entry::U32(0)),
        ("tokens", Entry::U32s(&[1])),
        ("token_type", Entry::Texts(&["1"])),
        ("token_type", Entry::I32s(&[1, 1])),
        ("merges", Entry::Text("t h")),
        ("bos_token_id", Entry::U32(272)),
        ("eos_token_id", Entry::U32s(&[0, 1])),
        ("add_bos_token", Entry::U32(1)),
        ("model", Entry::U32(1)),
    ] {
        let refusal = refusal(&[(key, Some(entry))]);
        assert!(
            refusal.contains(&format!("tokenizer.ggml.{key}")),
            "{key}: {refusal}"
        );
    }
    for (key, entry) in [
        ("remove_extra_whitespaces", Entry::Bool(false)),
        ("suppress_tokens", Entry::I32s(&[])),
        ("add_bos_token", Entry::Bool(true)),
        ("add_eos_token", Entry::Bool(true)),
        ("fim_pre_token_id", Entry::U32(7)),
        ("seperator_token_id", Entry::U32(7)),
    ] {
        let changed = open(&[(key, Some(entry))]).unwrap();
        assert_eq!(changed.digest(), open(&[]).unwrap().digest(), "{key}");
    }
    let none = [
        ("bos_token_id", None),
        ("add_bos_token", Some(Entry::Bool(true))),
    ];
    assert!(refusal(&none).contains("add_bos_token"));
}

#[test]
fn sentence_piece_has_llama_cpps_defaults() {
    let name = "tokenizer/sentencepiece.gguf";
    let tokenizer = open_as(name, &[("bos_token_id", None), ("eos_token_id", None)]).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(1), Some(2)));
    let prefix = |add| open_as(name, &[("add_space_prefix", Some(Entry::Bool(add)))]).unwrap();
    assert_eq!(pieces(&prefix(true), "the"), [" the"]);
    assert_ne!(pieces(&prefix(false), "the"), [" the"]);
}

#[test]
fn two_tokens_that_are_the_same_are_refused() {
    let tokens = ["a", "b", "a"];
    let refusal = refusal(&[("tokens", Some(Entry::Texts(&tokens)))]);
    assert!(
        refusal.contains("the tokens 0 and 2 are both `a`"),
        "{refusal}"
    );
}
