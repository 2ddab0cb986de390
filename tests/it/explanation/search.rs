//! SearchExplanations: by words always, by meaning where a sentence encoder is resident.

use latentd_client::{SearchMode, SearchRequest};
use latentd_domain::Reason;

use crate::harness::{
    real,
    server::{RELU, SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn explanations_are_found_by_their_words() {
    let server = small().await;
    for (sae, latent, text) in [
        (SAE, 1, "Names of rivers in Europe"),
        (SAE, 2, "The river Thames, its bridges, and rivers near it"),
        (SAE, 3, "Legal contracts"),
        (RELU, 1, "A contract that is signed at a river"),
    ] {
        server
            .client
            .create_explanation(sae, latent, text, "")
            .await
            .unwrap();
    }
    let search = |request: SearchRequest| async {
        let results = server.client.search_explanations(request).await.unwrap();
        assert_eq!(results.mode, SearchMode::Words);
        let relevances: Vec<f64> = results
            .explanations
            .iter()
            .map(|hit| hit.relevance.unwrap())
            .collect();
        assert!(relevances.is_sorted_by(|a, b| a >= b), "best first");
        let mut latents: Vec<u32> = results.explanations.iter().map(|hit| hit.latent).collect();
        latents.sort_unstable();
        latents
    };
    assert_eq!(search(SearchRequest::new("rivers")).await, [1, 1, 2]);
    assert_eq!(search(SearchRequest::new("rivers").sae(SAE)).await, [1, 2]);
    assert_eq!(
        search(SearchRequest::new("river -contract bridges")).await,
        [2]
    );
    assert_eq!(search(SearchRequest::new("rivers").limit(1)).await.len(), 1);
    assert!(search(SearchRequest::new("\"'(")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_by_meaning_needs_a_sentence_encoder() {
    let server = small().await;
    let request = SearchRequest::new("rivers").mode(SearchMode::Meaning);
    let error = server.client.search_explanations(request).await;
    assert_eq!(
        error.unwrap_err().reason,
        Reason::NoSentenceEncoder.as_str()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn explanations_are_found_by_their_meaning() {
    let server = small().await;
    let folder = real::encoder().await;
    let client = &server.client;
    client
        .load_model("minilm", &folder.display().to_string())
        .await
        .unwrap();
    for (sae, latent, text) in [
        (SAE, 1, "Flowing bodies of water in Europe"),
        (SAE, 2, "Legal agreements between two parties"),
        (SAE, 3, "Young animals that are kept as pets"),
        (RELU, 4, "Streams and creeks"),
    ] {
        client
            .create_explanation(sae, latent, text, "")
            .await
            .unwrap();
    }
    let search = |request: SearchRequest| async {
        let results = client.search_explanations(request).await.unwrap();
        assert_eq!(results.mode, SearchMode::Meaning);
        let hits = results.explanations.iter();
        let hits: Vec<(u32, f64)> = hits
            .map(|hit| (hit.latent, hit.relevance.unwrap()))
            .collect();
        assert!(
            hits.iter()
                .all(|(_, cosine)| (-1.01..1.01).contains(cosine))
        );
        assert!(hits.is_sorted_by(|a, b| a.1 >= b.1), "best first: {hits:?}");
        hits.iter().map(|(latent, _)| *latent).collect::<Vec<u32>>()
    };
    // No word of the queries is in what they find.
    assert_eq!(search(SearchRequest::new("puppies")).await[0], 3);
    assert_eq!(search(SearchRequest::new("a contract").limit(1)).await, [2]);
    let rivers = search(SearchRequest::new("rivers")).await;
    assert_eq!(rivers.len(), 4);
    assert!(
        rivers[..2].contains(&1) && rivers[..2].contains(&4),
        "{rivers:?}"
    );
    let of_sae = search(SearchRequest::new("rivers").sae(SAE).limit(2)).await;
    assert_eq!(of_sae[0], 1);
    // What comes later is found, too, and what is gone is not.
    let made = client.create_explanation(SAE, 9, "Kittens", "").await;
    assert!(search(SearchRequest::new("puppies")).await[..2].contains(&9));
    client
        .delete_explanation(&made.unwrap().name)
        .await
        .unwrap();
    assert!(!search(SearchRequest::new("puppies")).await.contains(&9));
}
