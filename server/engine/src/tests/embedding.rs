//! Sentence encoders in the engine: what is asked of the wrong kind, batches, memory, and real vectors.

use std::{path::Path, sync::Arc, thread};

use latentd_domain::{HasReason, ModelId, ModelInfo, Reason};
use latentd_nn::{
    ComputeError, PackedTokens, SentenceEncoder, sae::SaeOptions, tokenizer::Tokenizer,
};

use super::{
    Bench, encode,
    fake::{Pass, Script},
    model,
};
use crate::{
    Dense, EmbedOutput, EmbedWork, EncodeWork, Engine, Error, Handle, Lane, Options,
    compute::ResidentEncoder,
};

/// An encoder whose tokens are the lengths of words, and whose vector is their sum.
pub(super) struct FakeEncoder {
    info: ModelInfo,
    tokenizer: Arc<Tokenizer>,
    script: Arc<Script>,
}

impl FakeEncoder {
    pub(super) fn new(info: ModelInfo, tokenizer: Arc<Tokenizer>, script: &Arc<Script>) -> Self {
        let script = Arc::clone(script);
        Self {
            info,
            tokenizer,
            script,
        }
    }
}

impl ResidentEncoder for FakeEncoder {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    fn tokenize(&self, text: &str) -> Result<Vec<u32>, ComputeError> {
        assert_ne!(text, "panic", "the tokenizer panics");
        Ok(text.split(' ').map(|word| word.len() as u32).collect())
    }

    fn embed(&self, tokens: &PackedTokens) -> Result<Vec<f32>, ComputeError> {
        self.script.pass(Pass {
            ids: tokens.ids().to_vec(),
            sequences: tokens.sequences(),
            hook_points: Vec::new(),
            thread: thread::current().name().unwrap_or_default().to_owned(),
        })?;
        let sum = |rows: std::ops::Range<usize>| tokens.ids()[rows].iter().sum::<u32>() as f32;
        Ok(tokens.ranges().map(sum).collect())
    }
}

fn encoder() -> ModelId {
    "e".parse().unwrap()
}

async fn bench() -> Bench {
    let bench = Bench::start().await;
    let loaded = bench
        .handle
        .load_model(encoder(), "models/encoder".into(), None);
    loaded.await.unwrap();
    bench
}

async fn embed(handle: &Handle, texts: &[&str]) -> Result<EmbedOutput, Error> {
    let work = EmbedWork {
        model: encoder(),
        texts: texts.iter().map(|&text| text.to_owned()).collect(),
        lane: Lane::Bulk,
        deadline: None,
    };
    handle.embed(work).await
}

#[tokio::test]
async fn texts_become_rows_in_their_order() {
    let bench = bench().await;
    let output = embed(&bench.handle, &["a bb", "ccc", "d"]).await.unwrap();
    let expected = Dense {
        rows: 3,
        width: 1,
        values: vec![3.0, 3.0, 1.0],
    };
    assert_eq!(output.embeddings, expected);
    assert_eq!((output.cost.tokens, output.cost.batch_requests), (4, 1));
    let passes = bench.script.take_passes();
    assert_eq!(passes.len(), 1);
    let none = embed(&bench.handle, &[]).await.unwrap();
    assert_eq!(none.embeddings.rows, 0);
    assert!(bench.script.take_passes().is_empty());
}

#[tokio::test]
async fn many_texts_are_several_batches_and_little_memory_more_passes() {
    let bench = bench().await;
    let text = vec!["w"; 30].join(" ");
    let texts = vec![text.as_str(); 7];
    let output = embed(&bench.handle, &texts).await.unwrap();
    assert_eq!(output.embeddings.values, [30.0; 7]);
    let passes = bench.script.take_passes();
    let sizes: Vec<usize> = passes.iter().map(|pass| pass.sequences).collect();
    assert_eq!(sizes, [3, 3, 1], "100 tokens a batch");

    bench.script.limit_memory(40);
    let output = embed(&bench.handle, &texts[..3]).await.unwrap();
    assert_eq!(output.embeddings.values, [30.0; 3]);
    bench.script.limit_memory(20);
    let error = embed(&bench.handle, &texts[..1]).await.unwrap_err();
    assert!(matches!(error, Error::OutOfDeviceMemory { tokens: 30 }));
    assert!(bench.handle.health().borrow().is_serving());
}

#[tokio::test]
async fn the_wrong_kind_of_model_is_refused() {
    let bench = bench().await;
    let work = EmbedWork {
        model: model(),
        texts: vec!["text".to_owned()],
        lane: Lane::Interactive,
        deadline: None,
    };
    let error = bench.handle.embed(work).await.unwrap_err();
    assert_eq!(error.reason(), Reason::WrongModelKind);
    assert_eq!(error.to_string(), "`m` is not a sentence encoder");
    let work = EncodeWork {
        model: encoder(),
        ..encode("s3", &[&[1]])
    };
    let error = bench.handle.encode(work).await.unwrap_err();
    assert_eq!(error.reason(), Reason::WrongModelKind);
    let name = "e/s3".parse().unwrap();
    let loading = bench
        .handle
        .load_sae(name, "saes/s3".into(), SaeOptions::default());
    assert_eq!(loading.await.unwrap_err().reason(), Reason::WrongModelKind);
    let catalog = bench.handle.catalog();
    let encoders: Vec<_> = catalog.sentence_encoders().map(|entry| &entry.id).collect();
    assert_eq!(encoders, [&encoder()]);
}

#[tokio::test]
async fn a_panic_while_tokenizing_is_an_error() {
    let bench = bench().await;
    let error = embed(&bench.handle, &["panic"]).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Internal);
    embed(&bench.handle, &["calm"]).await.unwrap();
}

#[tokio::test]
async fn a_real_encoder_gives_the_same_bits_in_any_company() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentences/mean");
    let (_engine, handle) = Engine::start(Options {
        batch_tokens: 32,
        ..Options::default()
    })
    .unwrap();
    let entry = handle
        .load_model(encoder(), folder.clone(), None)
        .await
        .unwrap();
    assert_eq!(entry.info.family, "bert");
    assert!(SentenceEncoder::is_at(&folder));
    let again = handle
        .load_model(encoder(), folder.join("."), None)
        .await
        .unwrap();
    assert_eq!(
        entry.loaded_at, again.loaded_at,
        "equal content is the same model"
    );
    let long = "the cat sat on the mat and ".repeat(9);
    let texts = ["the cat", "", "a hat on the rat", long.as_str(), "mat"];
    let together = embed(&handle, &texts).await.unwrap().embeddings;
    assert_eq!((together.rows, together.width), (5, entry.info.d_model));
    for (text, row) in texts.iter().zip(together.values.chunks(together.width)) {
        let alone = embed(&handle, &[text]).await.unwrap().embeddings;
        assert_eq!(alone.values, row, "{text}");
    }
}
