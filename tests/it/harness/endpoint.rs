//! An endpoint of OpenAI's API in this process, that explains and scores as a language model would, and counts what it is sent.

use latentd_autointerp::provider::faults::{Answer, Endpoint, Request, capable};
use latentd_client::{CreateProviderRequest, ExamplePlan, Provider};

use super::server::TestServer;

/// What the endpoint says of every latent.
pub(crate) const EXPLANATION: &str = "Words about rivers and bridges.";

/// An endpoint that can do everything: it explains every latent with [`EXPLANATION`] and says yes to every question.
pub(crate) async fn start() -> Endpoint {
    Endpoint::start(answer).await.unwrap()
}

/// What such an endpoint does with a request.
pub(crate) fn answer(request: &Request) -> Answer {
    capable(request, said, |words, index| {
        let word = words.get(index).copied().unwrap_or_default();
        vec![(word.to_owned(), -1.0), ("other".to_owned(), -2.0)]
    })
}

/// The answer to a conversation: a number for each text, an explanation where none is scored.
fn said(request: &Request) -> String {
    let question = request.question();
    let texts = question
        .lines()
        .filter(|line| line.starts_with("Text "))
        .count();
    if question.starts_with("Explanation:") && texts > 0 {
        let answers = vec!["1"; texts].join(",");
        return format!("{{\"answers\": [{answers}]}}");
    }
    format!("They are alike.\n[EXPLANATION]: {EXPLANATION}")
}

/// Registers `endpoint` with a server as provider `id`.
pub(crate) async fn register(server: &TestServer, id: &str, endpoint: &Endpoint) -> Provider {
    let request = CreateProviderRequest::openai(id, endpoint.base_url(), "fake");
    server.client.create_provider(request).await.unwrap()
}

/// Few examples: the caches of tests are small.
pub(crate) fn few() -> ExamplePlan {
    ExamplePlan::new()
        .train(4)
        .test(4, 4)
        .quantiles(2)
        .window(8)
        .min_examples(4)
}
