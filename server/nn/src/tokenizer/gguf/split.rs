//! How byte-level vocabularies split a text before merging, by `tokenizer.ggml.pre`: the table of llama.cpp
//! (`llama_vocab::impl::load` and `llm_tokenizer_bpe` of its `llama-vocab.cpp`), with the patterns as the models' own
//! tokenizers write them where llama.cpp adapted them to its engine.
//!
//! One name differs: llama.cpp and SmolLM's own tokenizer split digits off first, and transformers does not where it reads
//! `smollm` from a GGUF file. Tokens differ only where several spaces stand before a digit; here transformers is followed.

use serde_json::{Value, json};

/// A pre-tokenizer.
struct Split {
    names: &'static [&'static str],
    /// Each splits what the one before left whole.
    patterns: &'static [&'static str],
    /// A piece that is a token is that token, whatever the merges make of it.
    ignores_merges: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What separates punctuation, and digits in threes.
const PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|]+";
const DIGIT: &str = r"\p{N}";
const DIGITS: &str = r"\p{N}+";
const THREES: &str = r"[0-9][0-9][0-9]";
const THREE_AT_MOST: &str = r"\p{N}{1,3}";

/// Whether a pattern is known to end a word of letters at every space behind it, and before punctuation of ideographs.
pub(in crate::tokenizer) fn ends_words_at_spaces(pattern: &str) -> bool {
    [GPT2, LLAMA3, QWEN2, TEKKEN, GPT4O].contains(&pattern)
}

/// Whether a pattern is known to match neither letters nor spaces.
pub(in crate::tokenizer) fn is_of_no_letters(pattern: &str) -> bool {
    [PUNCTUATION, DIGIT, DIGITS, THREES, THREE_AT_MOST].contains(&pattern)
}

const SPLITS: [Split; 8] = [
    Split {
        names: &[
            "gpt-2",
            "smollm",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
            "roberta-bpe",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "jina-es",
            "jina-de",
            "jina-v1-en",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
        ],
        patterns: &[GPT2],
        ignores_merges: false,
    },
    Split {
        names: &[
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        patterns: &[DIGIT, GPT2],
        ignores_merges: false,
    },
    Split {
        names: &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        patterns: &[LLAMA3],
        ignores_merges: true,
    },
    Split {
        names: &["dbrx", "smaug-bpe", "chatglm-bpe"],
        patterns: &[LLAMA3],
        ignores_merges: false,
    },
    Split {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        patterns: &[QWEN2],
        ignores_merges: false,
    },
    Split {
        names: &["tekken"],
        patterns: &[TEKKEN],
        ignores_merges: true,
    },
    Split {
        names: &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        patterns: &[GPT4O],
        ignores_merges: false,
    },
    Split {
        names: &["default"],
        patterns: &[PUNCTUATION, GPT2, DIGITS, THREES],
        ignores_merges: false,
    },
];

/// The pre-tokenizer of this name in the form of a `tokenizer.json`, and whether merges are ignored for whole tokens.
///
/// Where a file names none, llama.cpp warns and takes `default`, with which few models were trained. Tokens that are
/// wrong without a word are worse than none, so that such a file is refused.
pub(super) fn of(name: Option<&str>) -> Result<(Value, bool), String> {
    let Some(name) = name else {
        return Err(
            "the metadata has no `tokenizer.ggml.pre`, which says how a text is split before merging: write it into the \
             file, for example with `gguf-new-metadata --pre-tokenizer llama-bpe OLD.gguf NEW.gguf`"
                .to_owned(),
        );
    };
    let split = SPLITS.iter().find(|split| split.names.contains(&name));
    let split = split.ok_or_else(|| {
        let known: Vec<&str> = SPLITS
            .iter()
            .flat_map(|split| split.names)
            .copied()
            .collect();
        format!(
            "`tokenizer.ggml.pre` is `{name}`; supported are: {}",
            known.join(", ")
        )
    })?;
    // The last step writes bytes as letters, and is itself able to split as GPT-2 does.
    let (patterns, is_gpt2) = match split.patterns {
        [patterns @ .., GPT2] => (patterns, true),
        patterns => (patterns, false),
    };
    let letters = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": is_gpt2,
    });
    if patterns.is_empty() {
        return Ok((letters, split.ignores_merges));
    }
    let mut steps: Vec<Value> = patterns
        .iter()
        .map(|pattern| {
            json!({
                "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false,
            })
        })
        .collect();
    steps.push(letters);
    let pre_tokenizer = json!({ "type": "Sequence", "pretokenizers": steps });
    Ok((pre_tokenizer, split.ignores_merges))
}
