//! Keys under `tokenizer.ggml.`: which are read or change no token, and which change none with some of their values. Every
//! other key is refused by its name.

use crate::weights::gguf::metadata::Metadata;

/// Keys that are read, or that say nothing about how a text becomes tokens. Whether a beginning or an end of sequence is
/// added is the caller's choice and not the file's.
const KNOWN: &[&str] = &[
    "model",
    "pre",
    "tokens",
    "scores",
    "token_type",
    "merges",
    "add_space_prefix",
    "bos_token_id",
    "eos_token_id",
    "eot_token_id",
    "eom_token_id",
    "unknown_token_id",
    "padding_token_id",
    "seperator_token_id",
    "separator_token_id",
    "mask_token_id",
    "cls_token_id",
    "add_bos_token",
    "add_eos_token",
    "add_sep_token",
    "token_type_count",
    "fim_pre_token_id",
    "fim_suf_token_id",
    "fim_mid_token_id",
    "fim_pad_token_id",
    "fim_rep_token_id",
    "fim_sep_token_id",
    "prefix_token_id",
    "suffix_token_id",
    "middle_token_id",
];

/// Keys that change tokens, or answers, unless they are switched off.
const OFF: &[&str] = &[
    "remove_extra_whitespaces",
    "precompiled_charsmap",
    "normalizer.lowercase",
    "normalizer.strip_accents",
    "suppress_tokens",
];

/// Refuses what changes tokens and is not read.
pub(super) fn check(metadata: &Metadata) -> Result<(), String> {
    const PREFIX: &str = "tokenizer.ggml.";
    let unknown = metadata.under(PREFIX).find(|(name, value)| {
        let switched_off = OFF.contains(name) && value.is_off();
        !switched_off && !KNOWN.contains(name)
    });
    match unknown {
        None => Ok(()),
        Some((name, value)) => Err(format!(
            "the metadata `{PREFIX}{name}`, {value}, may change tokens and is not supported"
        )),
    }
}
