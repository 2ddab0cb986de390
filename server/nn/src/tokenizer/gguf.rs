//! A tokenizer from GGUF metadata: written out as the `tokenizer.json` that transformers makes of the same metadata
//! (`integrations/gguf/gguf_tokenizer_mapping.py`), and read like any other, so that the two agree token for token.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{
    definition::{Definition, MAX_IDS},
    text::alphabet,
};
use crate::weights::{config::SpecialIds, gguf::metadata::Metadata};

/// `tokenizer.ggml.token_type` of control tokens, which are special.
const CONTROL: i32 = 3;
/// `tokenizer.ggml.token_type` of tokens that are matched whole and are not special.
const USER_DEFINED: i32 = 4;

/// Longest token, in characters, whose merges are derived: all of them are, in tokenizers that exist.
const MAX_DERIVED: usize = 256;

/// Names of `tokenizer.ggml.pre` that split as GPT-2 does. SmolLM's own tokenizer also splits digits off first; that changes
/// tokens only where several spaces stand before a digit, and transformers, with which we agree, does not do it.
const GPT2_SPLIT: [&str; 8] = [
    "default",
    "gpt-2",
    "smollm",
    "mpt",
    "olmo",
    "jais",
    "phi-2",
    "roberta-bpe",
];

/// Names of `tokenizer.ggml.pre` with another split, and its pattern.
const OTHER_SPLITS: [(&[&str], &str); 2] = [
    (
        &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "dbrx",
            "smaug-bpe",
        ],
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        &["tekken"],
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
];

/// The vocabulary of a file.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    types: Vec<i32>,
    metadata: &'a Metadata,
    file: &'a [u8],
}

/// The tokenizer that the metadata describes, with its beginning and end of sequence. `file` is the whole file.
pub(super) fn definition(
    metadata: &Metadata,
    file: &[u8],
) -> Result<(Definition, SpecialIds), String> {
    let tokens = metadata
        .strings(file, "tokenizer.ggml.tokens")
        .ok_or_else(|| "the metadata has no `tokenizer.ggml.tokens`".to_owned())??;
    if tokens.len() > MAX_IDS {
        return Err(format!(
            "it has {} tokens, over the limit of {MAX_IDS}",
            tokens.len()
        ));
    }
    let types = metadata
        .integers(file, "tokenizer.ggml.token_type")
        .unwrap_or_default();
    let vocabulary = Vocabulary {
        tokens,
        types,
        metadata,
        file,
    };
    let json = match metadata.string("tokenizer.ggml.model") {
        Some("gpt2") => vocabulary.byte_level()?,
        Some("llama") => vocabulary.sentence_piece()?,
        other => {
            let other = other.unwrap_or("none");
            return Err(format!(
                "`tokenizer.ggml.model` is `{other}`; supported are: gpt2, llama"
            ));
        }
    };
    let special = SpecialIds {
        bos: vocabulary.special("bos_token_id").map(|id| id as u32),
        eos: vocabulary.special("eos_token_id").map(|id| id as u32),
    };
    Ok((Definition::parse(json.to_string().as_bytes())?, special))
}

impl Vocabulary<'_> {
    /// The id under a key, if there is such a token.
    fn special(&self, key: &str) -> Option<usize> {
        let id = self.metadata.unsigned(&format!("tokenizer.ggml.{key}"))?;
        usize::try_from(id)
            .ok()
            .filter(|&id| id < self.tokens.len())
    }

    fn byte_level(&self) -> Result<Value, String> {
        let alphabet = alphabet();
        let letters: HashSet<char> = alphabet.into_iter().collect();
        let is_spelled = |token: &str| token.chars().all(|c| letters.contains(&c));
        let spell = |token: &str| -> String {
            if is_spelled(token) {
                token.to_owned()
            } else {
                token
                    .bytes()
                    .filter_map(|byte| alphabet.get(usize::from(byte)))
                    .collect()
            }
        };
        let ids: HashMap<String, usize> = self
            .tokens
            .iter()
            .enumerate()
            .map(|(id, token)| (spell(token), id))
            .collect();
        let merges = self
            .written_merges()
            .ok_or_else(|| "the metadata has no `tokenizer.ggml.merges`".to_owned())??;
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": self.added_tokens(&ids, is_spelled),
            "pre_tokenizer": self.pre_tokenizer()?,
            "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": ids, "merges": merges,
            },
        }))
    }

    fn sentence_piece(&self) -> Result<Value, String> {
        let ids: HashMap<String, usize> = self
            .tokens
            .iter()
            .enumerate()
            .map(|(id, &token)| (token.to_owned(), id))
            .collect();
        let merges = match self.written_merges() {
            Some(merges) => merges?,
            None => self.derived_merges()?,
        };
        let prefix = self
            .metadata
            .flag("tokenizer.ggml.add_space_prefix")
            .unwrap_or(true);
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": self.added_tokens(&ids, |_| true),
            "pre_tokenizer": {
                "type": "Metaspace", "replacement": "▁", "split": false,
                "prepend_scheme": if prefix { "first" } else { "never" },
            },
            "decoder": { "type": "Sequence", "decoders": [
                { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
                { "type": "ByteFallback" },
                { "type": "Fuse" },
            ]},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": ids, "merges": merges,
            },
        }))
    }

    /// Control tokens, and those that the file gives a role, as special tokens; user-defined ones as plain added tokens.
    fn added_tokens(
        &self,
        ids: &HashMap<String, usize>,
        is_spelled: impl Fn(&str) -> bool,
    ) -> Vec<Value> {
        let roles: HashSet<usize> = [
            "bos_token_id",
            "eos_token_id",
            "unknown_token_id",
            "padding_token_id",
        ]
        .into_iter()
        .filter_map(|key| self.special(key))
        .collect();
        let kinds = self.types.iter().copied().chain(std::iter::repeat(0));
        let added = self.tokens.iter().zip(kinds).enumerate().filter_map(|(id, (&token, kind))| {
            // A control token in other letters than the vocabulary's is a writer's mistake, as transformers notes.
            let special = (kind == CONTROL || roles.contains(&id)) && is_spelled(token);
            let is_added = !token.is_empty() && (special || kind == USER_DEFINED) && ids.get(token) == Some(&id);
            is_added.then(|| {
                json!({
                    "id": id, "content": token, "special": special, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false,
                })
            })
        });
        added.collect()
    }

    fn pre_tokenizer(&self) -> Result<Value, String> {
        let name = self
            .metadata
            .string("tokenizer.ggml.pre")
            .unwrap_or("default");
        if GPT2_SPLIT.contains(&name) {
            return Ok(byte_level_pre_tokenizer(true));
        }
        let split = OTHER_SPLITS.iter().find(|(names, _)| names.contains(&name));
        let (_, pattern) = split.ok_or_else(|| {
            let others = OTHER_SPLITS.iter().flat_map(|(names, _)| *names).copied();
            let known: Vec<&str> = GPT2_SPLIT.into_iter().chain(others).collect();
            format!(
                "`tokenizer.ggml.pre` is `{name}`; supported are: {}",
                known.join(", ")
            )
        })?;
        Ok(json!({ "type": "Sequence", "pretokenizers": [
            {
                "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated",
                "invert": false,
            },
            byte_level_pre_tokenizer(false),
        ]}))
    }

    /// The merges that the file lists, as pairs; `None` if it lists none.
    fn written_merges(&self) -> Option<Result<Vec<(String, String)>, String>> {
        let pair = |merge: &str| match merge.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok((left.to_owned(), right.to_owned())),
            _ => Err(format!("the merge `{merge}` is not two tokens")),
        };
        let merges = self.metadata.strings(self.file, "tokenizer.ggml.merges")?;
        Some(merges.and_then(|merges| merges.into_iter().map(pair).collect()))
    }

    /// The merges that the tokens' scores imply (transformers' `generate_merges`): a token comes from every two tokens that
    /// make it up, those with the best score first.
    fn derived_merges(&self) -> Result<Vec<(String, String)>, String> {
        let scores = self
            .metadata
            .floats(self.file, "tokenizer.ggml.scores")
            .filter(|scores| {
                scores.len() == self.tokens.len() && scores.iter().all(|score| !score.is_nan())
            })
            .ok_or_else(|| {
                "the metadata has neither merges nor a score for each token".to_owned()
            })?;
        let ids: HashMap<&str, usize> = self
            .tokens
            .iter()
            .enumerate()
            .map(|(id, &token)| (token, id))
            .collect();
        let mut merges = Vec::new();
        for (id, &token) in self.tokens.iter().enumerate() {
            if ids.get(token) != Some(&id) || token.chars().count() > MAX_DERIVED {
                continue;
            }
            let first = merges.len();
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if let (Some(&left_id), Some(&right_id)) = (ids.get(left), ids.get(right)) {
                    merges.push(Merge {
                        left,
                        right,
                        ids: (left_id, right_id),
                        score: scores.get(id).copied(),
                    });
                }
            }
            if let Some(of_this_token) = merges.get_mut(first..) {
                of_this_token.sort_by_key(|merge| merge.ids);
            }
        }
        merges.sort_by(|a, b| {
            b.rank()
                .partial_cmp(&a.rank())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(merges
            .into_iter()
            .map(|merge| (merge.left.to_owned(), merge.right.to_owned()))
            .collect())
    }
}

/// A merge that scores imply.
struct Merge<'a> {
    left: &'a str,
    right: &'a str,
    ids: (usize, usize),
    score: Option<f32>,
}

impl Merge<'_> {
    /// Larger comes first.
    fn rank(&self) -> (Option<f32>, usize, usize) {
        (
            self.score,
            self.left.chars().count(),
            self.right.chars().count(),
        )
    }
}

fn byte_level_pre_tokenizer(use_regex: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
}
