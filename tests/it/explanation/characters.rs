//! Characters that several tokens spell are whole wherever tokens become text: in examples and in prompts.

use futures::TryStreamExt;
use latentd_client::{ExamplesRequest, ExplainRequest, Explainer, JobState, ScorerKind};

use super::explain::run;
use crate::harness::{
    corpus, endpoint,
    server::{SAE, small},
};

const AWKWARD: &str = "🎉 window 東京 é";
const BROKEN: char = '\u{fffd}';

/// Whether characters are broken only where the window cuts them, or the row behind its beginning-of-sequence token.
fn is_whole(text: &str) -> bool {
    let text = text.replace("\\<|endoftext|>", "<|endoftext|>");
    let text = text.trim_start_matches("<|endoftext|>");
    !text.trim_matches(BROKEN).contains(BROKEN)
}

#[tokio::test(flavor = "multi_thread")]
async fn emoji_are_whole_in_examples_and_prompts() {
    let server = small().await;
    let lines: Vec<String> = (0..40)
        .map(|seed| {
            format!(
                "{}{AWKWARD} {AWKWARD} {}",
                corpus::prose(seed, 4),
                corpus::prose(seed + 99, 4)
            )
        })
        .map(|text| serde_json::json!({ "text": text }).to_string())
        .collect();
    let file = server.path().join("emoji.jsonl");
    fs_err::write(&file, lines.join("\n")).unwrap();
    server.build("emoji", &file).await;

    let request = ExamplesRequest::range(SAE, 0..96).cache("emoji").window(12);
    let latents = server.client.examples(request).await.unwrap();
    let latents: Vec<_> = latents.try_collect().await.unwrap();
    let often: Vec<u32> = latents
        .iter()
        .filter(|latent| latent.firing_tokens > 100)
        .map(|latent| latent.latent)
        .take(3)
        .collect();
    let mut shown = String::new();
    for example in latents.into_iter().flat_map(|latent| latent.examples) {
        assert_eq!(example.tokens.len(), example.ids.len());
        let text = example.tokens.concat();
        assert!(is_whole(&text), "{text}");
        shown.push_str(&text);
    }
    assert!(shown.contains('🎉') && shown.contains("東京"));

    let endpoint = endpoint::start().await;
    endpoint::register(&server, "fake", &endpoint).await;
    let before = endpoint.requests().len();
    let request = ExplainRequest::new(SAE, often, Explainer::by("fake"))
        .scorer(ScorerKind::Detection)
        .scorer(ScorerKind::Fuzzing)
        .cache("emoji")
        .examples(endpoint::few().window(12));
    let job = run(&server, request).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let mut prompts = String::new();
    for request in endpoint.requests().iter().skip(before) {
        for line in request.question().lines() {
            let Some((_, text)) = line.split_once(": ").filter(|_| line.starts_with("Text "))
            else {
                continue;
            };
            // Marks stand between characters, and around something.
            assert!(!text.contains("<<>>"), "{text}");
            let text = text.replace("<<", "").replace(">>", "");
            assert!(is_whole(&text), "{text}");
            prompts.push_str(&text);
        }
    }
    assert!(
        prompts.contains('🎉') && prompts.contains("東京"),
        "{prompts}"
    );
}
