//! The real model's tokenizer, built from GGUF metadata, against transformers.

use latentd_nn::weights::ModelFiles;
use serde_json::Value;

use crate::harness::{golden, real};

/// Digest of the tokenizer of the folder that transformers saves after it read the same GGUF file
/// (`AutoTokenizer.from_pretrained(.., gguf_file=..).save_pretrained(..)`), opened as a Hugging Face folder. The digest
/// covers everything that decides about tokens, and both run in the same library, so equal digests mean equal tokens for
/// every text. It changes with the `tokenizers` crate's way to write a definition.
const DEFINITION: &str = "2483c15d9b2ac412ea6808a1921f63ebb66153dcb9d1e735603c2dc9e7315304";

#[tokio::test(flavor = "multi_thread")]
async fn smollm2_splits_text_as_transformers_does() {
    let tokenizer = ModelFiles::open(real::model().await).unwrap().tokenizer;
    let text = fs_err::read_to_string(golden("tokenizer/smollm2.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 250);
    for case in cases {
        let line = case["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let found = tokenizer.encode(line, false).unwrap();
        assert_eq!(found.ids, ids, "{line:?}");
        assert_eq!(tokenizer.encode_ids(line, false).unwrap(), ids, "{line:?}");
        assert_eq!(
            found.byte_ends.last().copied().unwrap_or(0) as usize,
            line.len(),
            "{line:?}"
        );
    }
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.vocab()),
        (Some(1), Some(2), 49_152)
    );
    assert_eq!(tokenizer.digest(), DEFINITION);
}
