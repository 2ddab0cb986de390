//! Latents explained and scored by a resident model: `explain [ADDRESS [SAE [LATENT]...]]`. Needs a resident SAE and a cache that
//! holds it; the provider is the model of the SAE itself.
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use futures::TryStreamExt as _;
use latentd_client::{
    Budget, Client, CreateProviderRequest, ExamplePlan, ExplainRequest, Explainer,
    ExplanationFilter, ScorerKind,
};

#[tokio::main]
async fn main() -> latentd_client::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "localhost:50051".to_owned());
    let sae = arguments
        .next()
        .unwrap_or_else(|| "smollm2-135m/l9".to_owned());
    let mut latents: Vec<u32> = arguments.filter_map(|latent| latent.parse().ok()).collect();
    if latents.is_empty() {
        latents = vec![4490, 2841];
    }
    run(&address, &sae, latents).await
}

/// Explains and scores latents, and prints what came of it and what it cost.
pub(crate) async fn run(
    address: &str,
    sae: &str,
    latents: impl IntoIterator<Item = u32>,
) -> latentd_client::Result<()> {
    let client = Client::connect(address).await?;
    let model = sae.split('/').next().unwrap_or_default();
    client
        .create_provider(CreateProviderRequest::local("here", model))
        .await?;

    // Few examples, short answers and a budget: a small model on a CPU is not fast.
    let plan = ExamplePlan::new().train(5).test(5, 5).min_examples(1);
    let explainer = Explainer::by("here").max_tokens(60);
    let request = ExplainRequest::new(sae, latents, explainer)
        .scorer(ScorerKind::Detection)
        .scorer(ScorerKind::Fuzzing)
        .examples(plan)
        .budget(Budget {
            calls: 100,
            ..Budget::default()
        });
    let job = client.explain(request).await?;
    let job = client.wait_job(&job.name).await?;
    println!("{:?}: {:?}", job.state, job.progress.spent);

    let filter = ExplanationFilter::new().job(&job.name);
    let mut explanations = client.explanations(filter);
    while let Some(explanation) = explanations.try_next().await? {
        println!("latent {}: {}", explanation.latent, explanation.text);
        for score in &explanation.scores {
            println!("  {} {:?} {:?}", score.scorer, score.value, score.interval);
        }
    }
    Ok(())
}
