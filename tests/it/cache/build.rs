//! BuildCache: corpora of every format, what the cache records, and equality with Encode.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use latentd_client::{
    ActivationDtype, BuildCacheRequest, CacheState, Corpus, CorpusFormat, EncodeRequest,
    ExamplesRequest, JobState, Prompt,
};

use crate::harness::{
    corpus,
    server::{RELU, SAE, TestServer, small},
};

async fn build(server: &TestServer, request: BuildCacheRequest) -> latentd_client::Cache {
    let job = server.client.build_cache(request).await.unwrap();
    let job = server.client.wait_job(&job.name).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    server.client.cache(&job.result).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_holds_what_encode_says() {
    let server = small().await;
    let text = corpus::prose(5, 40);
    let file = server.path().join("one.txt");
    fs_err::write(&file, &text).unwrap();
    let request = BuildCacheRequest::new(SAE, Corpus::new([file.display().to_string()]))
        .cache_id("one")
        .context_length(16)
        .activation_dtype(ActivationDtype::F32);
    let cache = build(&server, request).await;
    assert_eq!(
        (cache.state, cache.documents, cache.context_length),
        (CacheState::Ready, 1, 16)
    );

    // Rows are the document cut into pieces of 15 tokens, each with the beginning-of-sequence token in front.
    let ids = server
        .client
        .tokenize("small", [text.as_str()], Some(false))
        .await
        .unwrap()[0]
        .ids
        .clone();
    let rows: Vec<Vec<u32>> = ids.chunks(15).map(|piece| [&[0], piece].concat()).collect();
    assert_eq!(cache.rows as usize, rows.len());
    assert_eq!(
        cache.tokens as usize,
        rows.iter().map(Vec::len).sum::<usize>()
    );
    let encoded = server
        .client
        .encode(EncodeRequest::new(
            rows.iter().cloned().map(Prompt::from),
            SAE,
        ))
        .await
        .unwrap();
    let mut expected: BTreeMap<u32, Vec<(u64, u32, f32)>> = BTreeMap::new();
    for row in 0..rows.len() {
        for (position, token) in encoded.rows_of(row).enumerate() {
            for (latent, activation) in encoded.first().rows.row(token) {
                expected
                    .entry(latent)
                    .or_default()
                    .push((row as u64, position as u32, activation));
            }
        }
    }
    // A window as long as a row shows every firing of the latent.
    let request = ExamplesRequest::range(SAE, 0..96)
        .cache("one")
        .count(1000)
        .window(16);
    let streamed: Vec<_> = server
        .client
        .examples(request)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    for latent in streamed {
        let mut found: Vec<(u64, u32, f32)> = Vec::new();
        for example in &latent.examples {
            for (index, &activation) in example
                .activations
                .iter()
                .enumerate()
                .filter(|(_, a)| **a > 0.0)
            {
                found.push((example.row, example.start + index as u32, activation));
            }
        }
        found.sort_by_key(|(row, position, _)| (*row, *position));
        let known = expected.remove(&latent.latent).unwrap_or_default();
        assert_eq!(latent.firing_tokens as usize, known.len());
        // Rows that hold the same tokens are shown once, so `found` may be a part of what is known.
        assert!(
            found.iter().all(|entry| known.contains(entry)),
            "latent {}",
            latent.latent
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_gives_the_same_documents() {
    let server = small().await;
    let texts: Vec<String> = (0..5).map(|seed| corpus::prose(seed, 30)).collect();
    let dir = server.path().join("formats");
    fs_err::create_dir_all(dir.join("text")).unwrap();
    for (index, text) in texts.iter().enumerate() {
        fs_err::write(dir.join(format!("text/{index}.txt")), text).unwrap();
    }
    let lines: Vec<String> = texts
        .iter()
        .map(|text| serde_json::json!({ "body": text }).to_string())
        .collect();
    fs_err::write(dir.join("all.jsonl"), lines.join("\n")).unwrap();
    fs_err::write(dir.join("lines.txt"), texts.join("\n")).unwrap();
    let corpora = [
        Corpus::new([dir.join("text").display().to_string()]),
        Corpus::new([dir.join("all.jsonl").display().to_string()]).text_field("body"),
        Corpus::new([dir.join("lines.txt").display().to_string()]).format(CorpusFormat::Lines),
    ];
    let mut seen = Vec::new();
    for (index, corpus) in corpora.into_iter().enumerate() {
        let request = BuildCacheRequest::new(SAE, corpus)
            .cache_id(format!("format-{index}"))
            .context_length(32);
        let cache = build(&server, request).await;
        seen.push((
            cache.documents,
            cache.rows,
            cache.tokens,
            cache.saes[0].activations,
        ));
    }
    assert_eq!(seen[0].0, 5);
    assert!(seen.iter().all(|counts| counts == &seen[0]), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_and_the_seed_orders_the_corpus() {
    let server = small().await;
    let folder = corpus::folder(server.path(), 12, 50);
    let request = |id: &str, seed: u64| {
        BuildCacheRequest::new(SAE, Corpus::new([folder.display().to_string()]))
            .and_sae(RELU)
            .cache_id(id)
            .context_length(32)
            .max_tokens(500)
            .seed(seed)
    };
    let first = build(&server, request("a", 0)).await;
    let same = build(&server, request("b", 0)).await;
    let other = build(&server, request("c", 9)).await;
    assert_eq!(first.tokens, 500);
    assert_eq!(first.saes.len(), 2);
    assert_eq!(
        first.manifest_digest, same.manifest_digest,
        "equal requests give equal bytes"
    );
    assert_ne!(first.manifest_digest, other.manifest_digest);
}
