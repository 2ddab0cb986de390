//! StreamExamples: modes, windows, seeds, over gRPC. Their exactness is tested in the cache crate against brute force.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use latentd_client::{Centring, ExampleMode, ExamplesRequest, LatentExamples};

use crate::harness::{
    corpus,
    server::{SAE, TestServer, small},
};

async fn cached() -> TestServer {
    let server = small().await;
    let folder = corpus::folder(server.path(), 40, 120);
    server.build("examples", &folder).await;
    server
}

async fn all(server: &TestServer, request: ExamplesRequest) -> Vec<LatentExamples> {
    server
        .client
        .examples(request)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn latents_come_in_the_order_asked_then_a_summary() {
    let server = cached().await;
    let mut stream = server
        .client
        .examples(ExamplesRequest::new(SAE, [9, 3, 70]).count(4))
        .await
        .unwrap();
    let mut seen = Vec::new();
    while let Some(latent) = stream.next().await {
        seen.push(latent.unwrap());
    }
    assert_eq!(
        seen.iter().map(|latent| latent.latent).collect::<Vec<_>>(),
        [9, 3, 70]
    );
    let summary = stream.summary().expect("the last message is a summary");
    assert_eq!(summary.latents, 3);
    assert_eq!(
        summary.examples as usize,
        seen.iter()
            .map(|latent| latent.examples.len())
            .sum::<usize>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_what_each_mode_promises() {
    let server = cached().await;
    let base = || {
        ExamplesRequest::range(SAE, 0..96)
            .count(10)
            .window(8)
            .groups(5)
    };
    for (mode, centring) in [
        (ExampleMode::Top, Centring::Peak),
        (ExampleMode::Quantile, Centring::Middle),
        (ExampleMode::Bins, Centring::Grid),
        (ExampleMode::Random, Centring::Peak),
        (ExampleMode::NonActivating, Centring::Peak),
    ] {
        let found = all(&server, base().mode(mode).centring(centring).seed(5)).await;
        let again = all(&server, base().mode(mode).centring(centring).seed(5)).await;
        assert_eq!(found, again, "the same seed gives the same examples");
        assert!(found.iter().any(|latent| !latent.examples.is_empty()));
        for latent in &found {
            let mut places = BTreeSet::new();
            for example in &latent.examples {
                let width = example.ids.len();
                assert!(
                    width <= 8
                        && example.activations.len() == width
                        && example.tokens.len() == width
                );
                for token in 0..width as u32 {
                    assert!(
                        places.insert((example.row, example.start + token)),
                        "windows never overlap"
                    );
                }
                let highest = example.activations.iter().copied().fold(0.0, f32::max);
                assert_eq!(example.peak, highest);
                assert_eq!(
                    example.quantile.is_some(),
                    matches!(mode, ExampleMode::Quantile | ExampleMode::Bins)
                );
                match mode {
                    ExampleMode::NonActivating => {
                        assert!(highest == 0.0 && example.peak_index.is_none());
                    }
                    _ => assert_eq!(example.activations[example.peak_index.unwrap()], highest),
                }
                if let Some((low, high)) = example.bin {
                    assert!(mode == ExampleMode::Bins && low < high && highest <= high * 1.001);
                }
            }
            if mode == ExampleMode::Top {
                assert!(latent.examples.is_sorted_by(|a, b| a.peak >= b.peak));
                assert!(
                    latent
                        .examples
                        .first()
                        .is_none_or(|example| Some(example.peak) == latent.max_activation)
                );
            }
        }
    }
    let one = all(&server, base().mode(ExampleMode::Random).seed(5)).await;
    let other = all(&server, base().mode(ExampleMode::Random).seed(6)).await;
    assert_ne!(one, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_can_be_left_out() {
    let server = cached().await;
    let found = all(&server, ExamplesRequest::new(SAE, [1, 2]).without_text()).await;
    assert!(
        found
            .iter()
            .flat_map(|latent| &latent.examples)
            .all(|e| e.tokens.is_empty() && !e.ids.is_empty())
    );
}
