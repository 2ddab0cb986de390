//! Sentence encoders against what sentence-transformers computes with the same weights, and against themselves.

use latentd_files::Interrupt;
use std::path::Path;

use latentd_domain::{HasReason, ModelKind, Reason};
use proptest::prelude::*;

use super::SentenceEncoder;
use crate::{
    device::Device,
    packed::PackedTokens,
    weights::{Checkpoint, golden},
};

/// Largest difference allowed in a value. Embeddings have the length 1, or values near 1.
const TOLERANCE: f32 = 1e-4;

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

fn cases() -> Vec<Case> {
    let json = fs_err::read(golden::path("sentences/texts.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn load(folder: &Path) -> SentenceEncoder {
    SentenceEncoder::load(folder, &Device::new(0).unwrap()).unwrap()
}

fn tiny() -> SentenceEncoder {
    load(&golden::path("sentences/mean"))
}

#[test]
fn ids_and_embeddings_equal_sentence_transformers() {
    for name in ["mean", "cls-f16"] {
        let folder = golden::path(&format!("sentences/{name}"));
        let encoder = load(&folder);
        let cases = cases();
        for case in &cases {
            assert_eq!(
                encoder.tokenize(&case.text).unwrap(),
                case.ids,
                "{name}: {}",
                case.text
            );
        }
        let tokens = PackedTokens::new(cases.iter().map(|case| case.ids.as_slice()));
        let found = encoder.embed(&tokens).unwrap();
        let shape = [cases.len(), encoder.info().d_model];
        let mut expected =
            Checkpoint::open_file(&folder.join("expected.safetensors"), &Interrupt::new()).unwrap();
        let expected = expected.take("embeddings", &shape).unwrap().data;
        assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() <= TOLERANCE,
                "{name} {at}: {found} {expected}"
            );
        }
    }
}

#[test]
fn it_says_what_it_is() {
    let encoder = tiny();
    let info = encoder.info();
    assert_eq!(
        (info.kind, info.family),
        (ModelKind::SentenceEncoder, "bert")
    );
    assert_eq!(
        (info.d_model, info.n_layers, info.context_length),
        (24, 2, 40)
    );
    assert_eq!((info.bos_token_id, info.eos_token_id), (Some(2), Some(3)));
    assert_eq!(
        info.unused_tensors,
        ["bert.pooler.dense.bias", "bert.pooler.dense.weight"]
    );
    let digests =
        SentenceEncoder::identify(&golden::path("sentences/mean"), &Interrupt::new()).unwrap();
    assert_eq!(
        (digests.weights, digests.tokenizer),
        (info.digest.clone(), info.tokenizer_digest.clone())
    );
    assert!(SentenceEncoder::is_at(&golden::path("sentences/mean")));
    for other in ["models/gpt2", "models/llama.gguf", "nowhere"] {
        assert!(!SentenceEncoder::is_at(&golden::path(other)), "{other}");
    }
}

#[test]
fn what_a_folder_has_wrong_is_said() {
    let change = |name: &str, from: &str, to: &str| {
        let folder = golden::copy_all("sentences/mean");
        let path = folder.path().join(name);
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs_err::write(&path, text.replace(from, to)).unwrap();
        SentenceEncoder::load(folder.path(), &Device::new(0).unwrap())
            .unwrap_err()
            .reason()
    };
    assert_eq!(
        change(
            "config.json",
            r#""num_hidden_layers": 2"#,
            r#""num_hidden_layers": 3"#
        ),
        Reason::MissingTensor
    );
    assert_eq!(
        change(
            "config.json",
            r#""hidden_size": 24"#,
            r#""hidden_size": 21"#
        ),
        Reason::ShapeMismatch
    );
    assert_eq!(
        change("config.json", r#""vocab_size": 37"#, r#""vocab_size": 0"#),
        Reason::MalformedConfig
    );
    assert_eq!(
        change("tokenizer_config.json", "[CLS]", "[FIRST]"),
        Reason::MalformedTokenizer
    );
    assert_eq!(
        change("1_Pooling/config.json", "mean", "weightedmean"),
        Reason::UnsupportedModel
    );
}

#[test]
fn tokens_that_do_not_fit_are_refused() {
    let encoder = tiny();
    let embed = |ids: &[u32]| {
        encoder
            .embed(&PackedTokens::new([ids]))
            .unwrap_err()
            .reason()
    };
    assert_eq!(embed(&[37]), Reason::UnknownToken);
    assert_eq!(embed(&[5; 41]), Reason::PromptTooLong);
    assert_eq!(embed(&[]), Reason::Internal);
    assert!(encoder.embed(&PackedTokens::new([])).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever lies beside a text, and on however many threads, its embedding has the same bits.
    #[test]
    fn company_changes_no_bit(texts in prop::collection::vec(prop::collection::vec(0u32..37, 1..40), 1..40), threads in 1usize..4) {
        let folder = golden::path("sentences/mean");
        let several = SentenceEncoder::load(&folder, &Device::with_threads(0, threads).unwrap()).unwrap();
        let together = several.embed(&PackedTokens::new(texts.iter().map(Vec::as_slice))).unwrap();
        let encoder = tiny();
        for (text, row) in texts.iter().zip(together.chunks(24)) {
            prop_assert_eq!(&encoder.embed(&PackedTokens::new([text.as_slice()])).unwrap()[..], row);
        }
    }
}
