//! Tokenizers against what transformers gives, on the tiny models of `tests/golden`.

use latentd_domain::{HasReason, Reason};
use serde::Deserialize;

use latentd_files::Interrupt;

use super::Tokenizer;
use crate::{
    error::{ComputeError, LoadError},
    weights::{
        ModelFiles,
        config::SpecialIds,
        golden::{copy, path},
    },
};

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

fn cases(name: &str) -> Vec<Case> {
    serde_json::from_slice(&fs_err::read(path(name)).unwrap()).unwrap()
}

fn tokenizer(name: &str) -> Tokenizer {
    ModelFiles::open(&path(name)).unwrap().tokenizer
}

fn open(json: &str) -> Result<Tokenizer, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenizer.json");
    fs_err::write(&file, json).unwrap();
    Tokenizer::from_json(
        &file,
        SpecialIds {
            bos: Some(0),
            eos: None,
        },
    )
}

#[test]
fn ids_are_those_of_transformers() {
    for model in [
        "models/llama",
        "models/llama.gguf",
        "models/gpt2",
        "models/gpt2.gguf",
    ] {
        let tokenizer = tokenizer(model);
        assert_eq!(
            (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab()),
            (Some(0), Some(0), 272),
            "{model}"
        );
        for Case { text, ids } in cases("models/prompts.json") {
            assert_eq!(
                tokenizer.encode(&text, true).unwrap().ids,
                ids,
                "{model}: {text}"
            );
            assert_eq!(
                tokenizer.encode_ids(&text, true).unwrap(),
                ids,
                "{model}: {text}"
            );
            assert_eq!(
                tokenizer.encode_ids(&text, false).unwrap(),
                ids[1..],
                "{model}: {text}"
            );
        }
    }
}

#[test]
fn sentence_piece_ids_are_those_of_transformers() {
    let tokenizer = tokenizer("tokenizer/sentencepiece.gguf");
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(1), Some(2)));
    for Case { text, ids } in cases("tokenizer/sentencepiece.json") {
        assert_eq!(tokenizer.encode(&text, false).unwrap().ids, ids, "{text}");
    }
    let shown: String = tokenizer
        .encode_ids("two  spaces\n", false)
        .unwrap()
        .iter()
        .map(|&id| tokenizer.token_text(id))
        .collect();
    assert_eq!(shown, " two  spaces\n");
}

#[test]
fn places_tile_the_text() {
    let tokenizer = tokenizer("models/llama");
    let text = "The cat  sat,\tthen <|endoftext|> é 漢.";
    let sequence = tokenizer.encode(text, true).unwrap();
    assert_eq!(
        (
            sequence.byte_starts[0],
            sequence.byte_ends[0],
            sequence.special[0]
        ),
        (0, 0, true)
    );
    let mut end = 0;
    for (&start, &next) in sequence.byte_starts.iter().zip(&sequence.byte_ends).skip(1) {
        assert!(start <= end && next >= end, "{start}..{next} after {end}");
        assert!(text.is_char_boundary(start as usize) && text.is_char_boundary(next as usize));
        end = next;
    }
    assert_eq!(end as usize, text.len());
    assert_eq!(
        sequence.special.iter().filter(|&&special| special).count(),
        2
    );
}

#[test]
fn a_text_that_begins_with_the_token_gets_no_second_one() {
    let tokenizer = tokenizer("models/llama");
    assert_eq!(
        tokenizer.encode("<|endoftext|>a", true),
        tokenizer.encode("<|endoftext|>a", false)
    );
    assert_eq!(tokenizer.encode("", true).unwrap().ids, [0]);
    assert!(tokenizer.encode("", false).unwrap().is_empty());
}

#[test]
fn every_token_has_its_text() {
    let tokenizer = tokenizer("models/llama");
    let text = "The cat sat on the mat";
    let shown: String = tokenizer
        .encode_ids(text, false)
        .unwrap()
        .iter()
        .map(|&id| tokenizer.token_text(id))
        .collect();
    assert_eq!(shown, text);
    assert_eq!(tokenizer.token_text(0), "<|endoftext|>");
    assert_eq!(
        (tokenizer.token_text(9999), tokenizer.is_special(9999)),
        ("", false)
    );
    let partial = tokenizer.encode_ids("漢", false).unwrap();
    assert!(
        partial
            .iter()
            .all(|&id| tokenizer.token_text(id) == "\u{fffd}")
    );
}

#[test]
fn truncation_padding_and_post_processing_are_the_callers() {
    let plain = fs_err::read_to_string(path("models/llama/tokenizer.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&plain).unwrap();
    json["truncation"] = serde_json::json!({ "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 });
    json["padding"] = serde_json::json!({
        "strategy": { "Fixed": 64 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "<|endoftext|>",
    });
    json["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing", "pair": [],
        "single": [{ "SpecialToken": { "id": "<|endoftext|>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "special_tokens": { "<|endoftext|>": { "id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"] } },
    });
    let (plain, changed) = (open(&plain).unwrap(), open(&json.to_string()).unwrap());
    let text = "The cat sat on the mat";
    assert_eq!(plain.encode(text, false), changed.encode(text, false));
    assert_eq!(plain.digest(), changed.digest());

    json["model"]["merges"].as_array_mut().unwrap().pop();
    assert_ne!(plain.digest(), open(&json.to_string()).unwrap().digest());
    json["model"]["dropout"] = serde_json::json!(0.5);
    assert_eq!(
        open(&json.to_string()).unwrap_err().reason(),
        Reason::MalformedTokenizer
    );
}

#[test]
fn special_tokens_come_from_the_file_beside_it_or_from_the_configuration() {
    let folder = copy("models/llama");
    let json = folder.path().join("tokenizer.json");
    let read = || {
        Tokenizer::from_json(
            &json,
            SpecialIds {
                bos: Some(7),
                eos: Some(8),
            },
        )
        .unwrap()
    };
    assert_eq!((read().bos(), read().eos()), (Some(0), Some(0)));
    let config = folder.path().join("tokenizer_config.json");
    fs_err::write(
        &config,
        r#"{"bos_token": {"content": "a", "lstrip": false}, "eos_token": null}"#,
    )
    .unwrap();
    let a = read().encode_ids("a", false).unwrap()[0];
    assert_eq!((read().bos(), read().eos()), (Some(a), Some(8)));
    fs_err::remove_file(&config).unwrap();
    assert_eq!((read().bos(), read().eos()), (Some(7), Some(8)));
    let map = folder.path().join("special_tokens_map.json");
    fs_err::write(&map, r#"{"bos_token": "a"}"#).unwrap();
    assert_eq!((read().bos(), read().eos()), (Some(a), Some(8)));
}

#[test]
fn tokens_that_the_configuration_names_must_be_there() {
    let folder = copy("models/llama");
    let json = folder.path().join("tokenizer.json");
    let config = folder.path().join("tokenizer_config.json");
    let read = |text: &str| {
        fs_err::write(&config, text).unwrap();
        Tokenizer::from_json(&json, SpecialIds::default())
    };
    for (text, named) in [
        (r#"{"bos_token": "<bos>"}"#, "`<bos>`"),
        (r#"{"eos_token": {"content": "<eos>"}}"#, "`<eos>`"),
        (
            r#"{"added_tokens_decoder": {"272": {"content": "<pad>", "special": true}}}"#,
            "272, `<pad>`",
        ),
        (
            r#"{"added_tokens_decoder": {"1": {"content": "<|endoftext|>"}}}"#,
            "<|endoftext|>",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.reason(), Reason::MalformedTokenizer);
        assert!(error.to_string().contains(named), "{error}");
    }
    let sound = r#"{"bos_token": "", "added_tokens_decoder": {"0": {"content": "<|endoftext|>"}}}"#;
    assert_eq!(read(sound).unwrap().bos(), None);
}

#[test]
fn ids_beyond_all_bounds_are_refused() {
    let added = |id: u32| {
        format!(
            r#"{{"version":"1.0","model":{{"type":"WordLevel","vocab":{{"a":0,"b":{id}}},"unk_token":"a"}},"added_tokens":[]}}"#
        )
    };
    assert!(open(&added(5)).is_ok());
    assert_eq!(
        open(&added(u32::MAX)).unwrap_err().reason(),
        Reason::MalformedTokenizer
    );
}

#[test]
fn a_tokenizer_that_is_not_known_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.gguf");
    let sound = fs_err::read(path("models/llama.gguf")).unwrap();
    for (from, to) in [("gpt-2", "bpe-9"), ("gpt2", "wor9")] {
        let mut bytes = sound.clone();
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs_err::write(&file, &bytes).unwrap();
        let error = ModelFiles::open(&file).unwrap_err();
        assert_eq!(error.reason(), Reason::MalformedTokenizer);
        assert!(
            error.to_string().contains(to) && error.to_string().contains("supported are"),
            "{error}"
        );
    }
}

/// A window of tokens, and what transformers decodes it to.
#[derive(Deserialize)]
struct Window {
    model: String,
    ids: Vec<u32>,
    text: String,
}

#[test]
fn texts_of_tokens_joined_are_what_transformers_decodes() {
    let windows: Vec<Window> =
        serde_json::from_slice(&fs_err::read(path("tokenizer/characters.json")).unwrap()).unwrap();
    for name in ["models/llama", "tokenizer/sentencepiece.gguf"] {
        let tokenizer = tokenizer(name);
        for window in windows.iter().filter(|window| window.model == name) {
            let texts = tokenizer.token_texts(&window.ids);
            assert_eq!(texts.len(), window.ids.len());
            let text = texts.concat();
            // transformers takes the space away that stands for the beginning of a text.
            let shown = if name == "tokenizer/sentencepiece.gguf" {
                text.strip_prefix(' ').unwrap_or(&text)
            } else {
                &text
            };
            assert_eq!(shown, window.text, "{name}: {:?}", window.ids);
        }
    }
}

#[test]
fn a_character_is_shown_once_and_never_in_parts() {
    for name in [
        "models/llama",
        "models/llama.gguf",
        "models/gpt2",
        "models/gpt2.gguf",
    ] {
        let tokenizer = tokenizer(name);
        let text = "🎉 window 東京 é, 👩\u{200d}🚀!";
        let ids = tokenizer.encode_ids(text, false).unwrap();
        let texts = tokenizer.token_texts(&ids);
        assert_eq!(texts.concat(), text, "{name}");
        assert!(texts.iter().any(|token| token == "🎉"));
        assert_eq!(&texts[..4], ["", "", "", "🎉"]);
        // Whatever is cut off, what is whole is shown whole.
        for start in 0..ids.len() {
            for end in start..=ids.len() {
                let window = tokenizer.token_texts(&ids[start..end]).concat();
                let decoded = tokenizer.inner.decode(&ids[start..end], false).unwrap();
                assert_eq!(window, decoded, "{name} {start}..{end}");
            }
        }
        assert_eq!(tokenizer.token_bytes(ids[0]), &"🎉".as_bytes()[..1]);
        assert_eq!(tokenizer.token_text(ids[0]), "\u{fffd}");
    }
}

/// Texts with everything that a cut could go wrong at, longer than several pieces.
fn long_text(seed: u64) -> String {
    let parts = [
        "word",
        " ",
        "  ",
        "\n",
        " \n ",
        "\t",
        "don't",
        "I'll",
        "x1",
        "42 000",
        ". ",
        ", ",
        "é",
        "e\u{301} ",
        "漢字",
        "，",
        "。",
        "かな",
        "한국",
        "<|endoftext|>",
        " <|endoftext|> ",
        "🎉",
        "!?",
        "\r\n",
        "A",
        "ß ",
    ];
    let mut state = seed;
    let mut text = String::new();
    while text.len() < 5 * super::pieces::PIECE {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(parts[(state >> 33) as usize % parts.len()]);
    }
    text
}

#[test]
fn pieces_have_the_tokens_of_the_whole() {
    for model in [
        "models/llama",
        "models/llama.gguf",
        "models/gpt2",
        "models/gpt2.gguf",
    ] {
        let tokenizer = tokenizer(model);
        assert!(tokenizer.can_cut, "{model}");
        for seed in 0..4 {
            let text = long_text(seed);
            assert!(super::pieces::of(&text, true).count() > 3);
            let whole = tokenizer.inner.encode(text.as_str(), false).unwrap();
            let sequence = tokenizer.encode(&text, false).unwrap();
            assert_eq!(sequence.ids, whole.get_ids(), "{model}");
            let places = sequence.byte_starts.iter().zip(&sequence.byte_ends);
            let places: Vec<(usize, usize)> = places
                .map(|(&start, &end)| (start as usize, end as usize))
                .collect();
            assert_eq!(places, whole.get_offsets(), "{model}");
            assert_eq!(tokenizer.encode_ids(&text, false).unwrap(), whole.get_ids());
        }
    }
}

#[test]
fn a_long_text_is_read_no_further_than_wanted() {
    let tokenizer = tokenizer("models/llama");
    let text = long_text(7);
    let all = tokenizer.encode(&text, true).unwrap();
    let some = tokenizer
        .encode_up_to(&text, true, 100, &Interrupt::new())
        .unwrap();
    assert!(some.ids.len() > 100 && some.ids.len() < all.ids.len() / 2);
    assert_eq!(some.ids, all.ids[..some.ids.len()]);
    let (interrupt, guard) = Interrupt::guarded(None);
    drop(guard);
    let interrupted = tokenizer.encode_up_to(&text, true, usize::MAX, &interrupt);
    assert_eq!(interrupted.unwrap_err(), ComputeError::Interrupted);
    let interrupted = tokenizer.encode_ids_until(&text, true, &interrupt);
    assert_eq!(interrupted.unwrap_err(), ComputeError::Interrupted);
}

#[test]
fn a_text_that_cannot_be_cut_is_refused_when_it_is_very_long() {
    let tokenizer = tokenizer("models/llama");
    let blob = "x".repeat(super::pieces::LARGEST + 1);
    let error = tokenizer.encode_ids(&blob, false).unwrap_err();
    assert_eq!(error.reason(), Reason::PromptTooLong);
    let sentence_piece = self::tokenizer("tokenizer/sentencepiece.gguf");
    assert!(!sentence_piece.can_cut);
}
