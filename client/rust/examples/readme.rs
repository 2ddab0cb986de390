//! The example of the README, as a program: `readme [ADDRESS [SAE]]`. Needs a resident SAE and a cache that holds it.
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use futures::TryStreamExt as _;
use latentd_client::{Client, EncodeRequest, ExampleMode, ExamplesRequest};

#[tokio::main]
async fn main() -> latentd_client::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "localhost:50051".to_owned());
    let sae = arguments
        .next()
        .unwrap_or_else(|| "smollm2-135m/l9".to_owned());
    run(&address, &sae).await
}

/// Encodes a prompt, and prints the examples of its strongest latents.
pub(crate) async fn run(address: &str, sae: &str) -> latentd_client::Result<()> {
    let client = Client::connect(address).await?;

    // The latents of a prompt: compressed sparse rows, one row for each token.
    let request = EncodeRequest::new(["The capital of France is Paris"], sae).top_k(8);
    let encoded = client.encode(request).await?;
    println!("{:?}", encoded.tokens(0));
    for strongest in encoded.top(5) {
        println!(
            "latent {} fires with {:.2}",
            strongest.latent, strongest.activation
        );
    }

    // The text that makes them fire, from the newest cache of the SAE; the peak is marked.
    let latents = encoded.top(5).into_iter().map(|top| top.latent);
    let request = ExamplesRequest::new(sae, latents)
        .mode(ExampleMode::Top)
        .count(20);
    let mut examples = client.examples(request).await?;
    while let Some(latent) = examples.try_next().await? {
        println!(
            "latent {}, on {} tokens",
            latent.latent, latent.firing_tokens
        );
        for example in &latent.examples {
            println!("  {example}");
        }
    }
    Ok(())
}
