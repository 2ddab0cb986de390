//! Requests that are malformed, too large, or about nothing.

use std::time::{Duration, Instant};

use latentd_client::{BuildCacheRequest, Corpus, EncodeRequest, ExamplesRequest, Prompt};
use latentd_domain::Reason;

use super::{lives_on, refused};
use crate::harness::{
    corpus,
    server::{SAE, small, small_with},
};

#[tokio::test(flavor = "multi_thread")]
async fn encode_refuses_what_it_cannot_do() {
    let server = small_with(&[("limits.max_prompts", "4"), ("limits.max_tokens", "100")]).await;
    let encode =
        |prompts: Vec<Prompt>, sae: &str| server.client.encode(EncodeRequest::new(prompts, sae));
    let ids = |n: usize| Prompt::from(vec![5u32; n]);
    refused(encode(vec![], SAE).await, Reason::EmptyBatch);
    refused(encode(vec![ids(0)], SAE).await, Reason::EmptyBatch);
    refused(encode(vec![ids(1); 5], SAE).await, Reason::BatchTooLarge);
    refused(encode(vec![ids(40); 3], SAE).await, Reason::BatchTooLarge);
    let long = refused(encode(vec![ids(65)], SAE).await, Reason::PromptTooLong);
    assert!(
        long.message.contains("65") && long.message.contains("64"),
        "says both lengths: {long}"
    );
    refused(
        encode(vec![Prompt::from(vec![272u32])], SAE).await,
        Reason::UnknownToken,
    );
    refused(
        encode(vec![ids(3)], "small/nothing").await,
        Reason::UnknownSae,
    );
    refused(
        encode(vec![ids(3)], "nothing/topk").await,
        Reason::UnknownModel,
    );
    let latents = server
        .client
        .encode(EncodeRequest::new([ids(3)], SAE).latents([1, 96]))
        .await;
    refused(latents, Reason::UnknownLatent);
    lives_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_violation_of_a_request_is_reported_at_once() {
    let server = small().await;
    let request = BuildCacheRequest::new("NOT A NAME", Corpus::new(Vec::<String>::new()))
        .cache_id("Also Not An Id")
        .request_id("x".repeat(200));
    let error = refused(
        server.client.build_cache(request).await,
        Reason::InvalidRequest,
    );
    let fields: Vec<&str> = error
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    for field in ["cache_id", "saes", "corpus.paths", "request_id"] {
        assert!(
            fields.iter().any(|found| found.starts_with(field)),
            "{field} is among {fields:?}"
        );
    }
}

/// A text of 24 MB takes half a minute to tokenize and gigabytes of memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_very_long_text_is_refused_before_it_is_tokenized() {
    let server = small().await;
    let text = "word and ".repeat(24 << 17);
    let begun = Instant::now();
    let request = EncodeRequest::new([text.as_str()], SAE);
    let error = refused(server.client.encode(request).await, Reason::PromptTooLong);
    let [violation] = error.violations.as_slice() else {
        panic!("{error:?}");
    };
    assert!(
        violation.description.contains("more than 64 tokens"),
        "{violation:?}"
    );
    let tokens = server.client.tokenize("small", [text.as_str()], None).await;
    refused(tokens, Reason::BatchTooLarge);
    // A text that cannot be cut, since it has no spaces.
    let blob = "x".repeat(24 << 20);
    let request = EncodeRequest::new([blob.as_str()], SAE);
    let error = refused(server.client.encode(request).await, Reason::PromptTooLong);
    assert!(error.violations[0].description.contains("bytes"), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    lives_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_are_not_found() {
    let server = small().await;
    refused(server.client.model("nothing").await, Reason::UnknownModel);
    refused(server.client.sae("small/nothing").await, Reason::UnknownSae);
    refused(
        server.client.latent(&format!("{SAE}/96"), 3).await,
        Reason::UnknownLatent,
    );
    refused(server.client.cache("nothing").await, Reason::UnknownCache);
    refused(
        server.client.delete_cache("nothing").await,
        Reason::UnknownCache,
    );
    refused(server.client.job("nothing").await, Reason::UnknownJob);
    refused(
        server.client.cancel_job("nothing").await,
        Reason::UnknownJob,
    );
    refused(server.client.wait_job("nothing").await, Reason::UnknownJob);
    refused(
        server.client.sae("not/a/name/at/all").await,
        Reason::InvalidRequest,
    );
    lives_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_of_latents_that_are_not_there_are_refused() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 2, 40);
    server.build("cache", &folder).await;
    let examples = |request: ExamplesRequest| async {
        match server.client.examples(request).await {
            Err(error) => Err(error),
            Ok(stream) => futures::TryStreamExt::try_collect::<Vec<_>>(stream).await,
        }
    };
    refused(
        examples(ExamplesRequest::new(SAE, [5, 96])).await,
        Reason::UnknownLatent,
    );
    refused(
        examples(ExamplesRequest::range(SAE, 90..200)).await,
        Reason::UnknownLatent,
    );
    refused(
        examples(ExamplesRequest::new("small/relu", [5]).cache("cache")).await,
        Reason::UnknownSae,
    );
    refused(
        examples(ExamplesRequest::new(SAE, [5]).count(1_000_000)).await,
        Reason::BatchTooLarge,
    );
    assert!(examples(ExamplesRequest::new(SAE, [5])).await.is_ok());
}
