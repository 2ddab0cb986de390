//! A tokenizer from GGUF metadata: written out as the `tokenizer.json` that transformers makes of the same metadata
//! (`integrations/gguf/gguf_tokenizer_mapping.py`), and read like any other. How a text is split before merging, and which
//! keys count, is as in llama.cpp.

mod keys;
pub(super) mod split;
#[cfg(test)]
mod tests;

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
    keys::check(metadata)?;
    let tokens = metadata
        .strings(file, "tokenizer.ggml.tokens")?
        .ok_or_else(|| "the metadata has no `tokenizer.ggml.tokens`".to_owned())?;
    if tokens.len() > MAX_IDS {
        return Err(format!(
            "it has {} tokens, over the limit of {MAX_IDS}",
            tokens.len()
        ));
    }
    refuse_duplicates(&tokens)?;
    let types = metadata
        .integers(file, "tokenizer.ggml.token_type")?
        .unwrap_or_default();
    if !types.is_empty() && types.len() < tokens.len() {
        return Err(format!(
            "`tokenizer.ggml.token_type` is an array of {}, for {} tokens",
            types.len(),
            tokens.len()
        ));
    }
    let vocabulary = Vocabulary {
        tokens,
        types,
        metadata,
        file,
    };
    // Beginning and end of sequence where a file names none, as in llama.cpp.
    let (json, [bos, eos]) = match metadata.string("tokenizer.ggml.model")? {
        Some("gpt2") => (vocabulary.byte_level()?, [None, None]),
        Some("llama") => (vocabulary.sentence_piece()?, [Some(1), Some(2)]),
        other => {
            let other = other.unwrap_or("none");
            return Err(format!(
                "`tokenizer.ggml.model` is `{other}`; supported are: gpt2, llama"
            ));
        }
    };
    let id = |key, default: Option<usize>| -> Result<Option<u32>, String> {
        let default = default.filter(|&id| id < vocabulary.tokens.len());
        Ok(vocabulary.special(key)?.or(default).map(|id| id as u32))
    };
    let special = SpecialIds {
        bos: id("bos_token_id", bos)?,
        eos: id("eos_token_id", eos)?,
    };
    if metadata.flag("tokenizer.ggml.add_bos_token")? == Some(true) && special.bos.is_none() {
        return Err(
            "`tokenizer.ggml.add_bos_token` is true, and there is no `bos_token_id`".to_owned(),
        );
    }
    Ok((Definition::parse(json.to_string().as_bytes())?, special))
}

impl Vocabulary<'_> {
    /// The id under a key, which must be that of a token.
    fn special(&self, key: &str) -> Result<Option<usize>, String> {
        let key = format!("tokenizer.ggml.{key}");
        let Some(id) = self.metadata.unsigned(&key)? else {
            return Ok(None);
        };
        let known = usize::try_from(id)
            .ok()
            .filter(|&id| id < self.tokens.len());
        known.map(Some).ok_or_else(|| {
            format!(
                "`{key}` is {id}, which is not below the {} tokens",
                self.tokens.len()
            )
        })
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
            .written_merges()?
            .ok_or_else(|| "the metadata has no `tokenizer.ggml.merges`".to_owned())?;
        let (pre_tokenizer, ignores_merges) =
            split::of(self.metadata.string("tokenizer.ggml.pre")?)?;
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": self.added_tokens(&ids, is_spelled)?,
            "pre_tokenizer": pre_tokenizer,
            "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": ignores_merges, "vocab": ids, "merges": merges,
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
        let merges = match self.written_merges()? {
            Some(merges) => merges,
            None => self.derived_merges()?,
        };
        let prefix = self
            .metadata
            .flag("tokenizer.ggml.add_space_prefix")?
            .unwrap_or(true);
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": self.added_tokens(&ids, |_| true)?,
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
    ) -> Result<Vec<Value>, String> {
        const ROLES: [&str; 4] = [
            "bos_token_id",
            "eos_token_id",
            "unknown_token_id",
            "padding_token_id",
        ];
        let roles = ROLES
            .into_iter()
            .filter_map(|key| self.special(key).transpose())
            .collect::<Result<HashSet<usize>, _>>()?;
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
        Ok(added.collect())
    }

    /// The merges that the file lists, as pairs; `None` if it lists none.
    fn written_merges(&self) -> Result<Option<Vec<(String, String)>>, String> {
        let pair = |merge: &str| match merge.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok((left.to_owned(), right.to_owned())),
            _ => Err(format!("the merge `{merge}` is not two tokens")),
        };
        let merges = self.metadata.strings(self.file, "tokenizer.ggml.merges")?;
        merges
            .map(|merges| merges.into_iter().map(pair).collect())
            .transpose()
    }

    /// The merges that the tokens' scores imply (transformers' `generate_merges`): a token comes from every two tokens that
    /// make it up, those with the best score first.
    fn derived_merges(&self) -> Result<Vec<(String, String)>, String> {
        let scores = self
            .metadata
            .floats(self.file, "tokenizer.ggml.scores")?
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

/// llama.cpp reads no file in which two tokens are the same: one of the two could never be found.
fn refuse_duplicates(tokens: &[&str]) -> Result<(), String> {
    let mut ids = HashMap::with_capacity(tokens.len());
    for (id, &token) in tokens.iter().enumerate() {
        if let Some(before) = ids.insert(token, id).filter(|_| !token.is_empty()) {
            return Err(format!("the tokens {before} and {id} are both `{token}`"));
        }
    }
    Ok(())
}
