//! SearchExplanations: by words always, by meaning where a sentence encoder is resident.

use latentd_client::{SearchMode, SearchRequest};
use latentd_domain::Reason;

use crate::harness::server::{RELU, SAE, small};

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
