//! Encode: selections, masks, batching, concurrency.

use futures::{StreamExt, TryStreamExt, stream};
use latentd_client::{EncodeRequest, Encoded, Prompt, Scale, SpecialTokens};

use crate::harness::{
    corpus::prose,
    server::{RELU, SAE, TestServer, small},
};

async fn encode(server: &TestServer, request: EncodeRequest) -> Encoded {
    server.client.encode(request).await.unwrap()
}

/// The rows of one prompt, as pairs.
fn rows(encoded: &Encoded, prompt: usize) -> Vec<Vec<(u32, u32)>> {
    let sparse = &encoded.first().rows;
    encoded
        .rows_of(prompt)
        .map(|row| sparse.row(row).map(|(l, a)| (l, a.to_bits())).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn special_tokens_are_masked_unless_kept() {
    let server = small().await;
    let masked = encode(&server, EncodeRequest::new(["The cat sat."], SAE)).await;
    assert!(
        masked.prompts[0].special[0],
        "the SAE was trained with a beginning-of-sequence token"
    );
    assert_eq!(rows(&masked, 0)[0], vec![]);
    assert_eq!(
        rows(&masked, 0)[1].len(),
        6,
        "k latents fire on every other token"
    );
    let kept = encode(
        &server,
        EncodeRequest::new(["The cat sat."], SAE).special_tokens(SpecialTokens::Keep),
    )
    .await;
    assert!(!rows(&kept, 0)[0].is_empty());
    assert_eq!(rows(&kept, 0)[1..], rows(&masked, 0)[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_are_parts_of_what_fires() {
    let server = small().await;
    let text = prose(3, 6);
    let every = encode(&server, EncodeRequest::new([text.as_str()], RELU)).await;
    let top = encode(&server, EncodeRequest::new([text.as_str()], RELU).top_k(5)).await;
    let some = [3, 17, 40, 95];
    let subset = encode(
        &server,
        EncodeRequest::new([text.as_str()], RELU).latents(some),
    )
    .await;
    for row in 1..every.first().rows.rows() {
        let all: Vec<(u32, f32)> = every.first().rows.row(row).collect();
        assert!(
            all.is_sorted_by_key(|pair| pair.0),
            "all that fire come by ascending latent"
        );
        let mut strongest = all.clone();
        strongest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        strongest.truncate(5);
        assert_eq!(top.first().rows.row(row).collect::<Vec<_>>(), strongest);
        let expected: Vec<_> = all
            .into_iter()
            .filter(|(latent, _)| some.contains(latent))
            .collect();
        assert_eq!(subset.first().rows.row(row).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_saes_share_one_pass() {
    let server = small().await;
    let both = encode(
        &server,
        EncodeRequest::new(["The cat sat."], SAE).and_sae(RELU),
    )
    .await;
    let names: Vec<&str> = both.saes.iter().map(|sae| sae.sae.as_str()).collect();
    assert_eq!(names, ["models/small/saes/topk", "models/small/saes/relu"]);
    let alone = encode(&server, EncodeRequest::new(["The cat sat."], RELU)).await;
    assert_eq!(both.saes[1].rows, alone.first().rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn decoder_norm_scales_each_latent_by_a_constant() {
    let server = small().await;
    let raw = encode(&server, EncodeRequest::new(["The cat sat."], RELU)).await;
    let scaled = encode(
        &server,
        EncodeRequest::new(["The cat sat."], RELU).scale(Scale::DecoderNorm),
    )
    .await;
    for row in 1..raw.first().rows.rows() {
        for ((latent, activation), (same, product)) in
            raw.first().rows.row(row).zip(scaled.first().rows.row(row))
        {
            assert_eq!(latent, same);
            let norm = server
                .client
                .latent(&format!("{RELU}/{latent}"), 1)
                .await
                .unwrap()
                .decoder_norm;
            assert!(
                (product - activation * norm).abs() <= 1e-5 * product.abs(),
                "{product} {activation} {norm}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activations_that_carry_the_decoder_norm_are_not_scaled_again() {
    let server = small().await;
    let raw = encode(&server, EncodeRequest::new(["The cat sat."], SAE)).await;
    let scaled = encode(
        &server,
        EncodeRequest::new(["The cat sat."], SAE).scale(Scale::DecoderNorm),
    )
    .await;
    assert_eq!(
        raw.first().rows,
        scaled.first().rows,
        "the SAE rescales by the decoder's norms itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_unequal_lengths_answers_as_single_requests_do() {
    let server = small().await;
    // From one token to nearly the model's whole context.
    let prompts: Vec<Vec<u32>> = [1, 50, 2, 33, 7, 60, 1, 12]
        .into_iter()
        .map(|n| (0..n).map(|i| 40 + (i * 7 + n) % 60).collect())
        .collect();
    let together = encode(
        &server,
        EncodeRequest::new(prompts.iter().cloned().map(Prompt::from), SAE),
    )
    .await;
    for (index, prompt) in prompts.iter().enumerate() {
        let alone = encode(
            &server,
            EncodeRequest::new([Prompt::from(prompt.clone())], SAE),
        )
        .await;
        assert_eq!(
            rows(&alone, 0),
            rows(&together, index),
            "prompt {index}, bit for bit"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_callers_get_what_one_caller_gets() {
    let server = small().await;
    let texts: Vec<String> = (0..192).map(|i| prose(i, 2 + i as usize % 5)).collect();
    let answer = |text: String| {
        let client = server.client.clone();
        async move { client.encode(EncodeRequest::new([text], SAE)).await }
    };
    let alone: Vec<Encoded> = stream::iter(texts.clone())
        .then(answer)
        .try_collect()
        .await
        .unwrap();
    let together: Vec<Encoded> = stream::iter(texts)
        .map(answer)
        .buffered(64)
        .try_collect()
        .await
        .unwrap();
    for (one, other) in alone.iter().zip(&together) {
        assert_eq!(one.first().rows, other.first().rows);
        assert_eq!(one.prompts, other.prompts);
    }
    assert!(
        together
            .iter()
            .any(|encoded| encoded.cost.batch_requests > 1),
        "callers shared a pass"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_come_back_with_strings_and_places() {
    let server = small().await;
    let text = "Déjà vu 42";
    let encoded = encode(&server, EncodeRequest::new([text], SAE)).await;
    let prompt = &encoded.prompts[0];
    // A token that is part of a character covers the whole character, so neighbours may cover the same bytes.
    let mut covered = 0;
    for range in prompt.bytes.iter().skip(1) {
        assert!(
            range.start <= covered && covered <= range.end,
            "{range:?} after {covered}"
        );
        covered = range.end;
    }
    assert_eq!(covered as usize, text.len());
    assert_eq!(prompt.tokens.len(), prompt.ids.len());
}
