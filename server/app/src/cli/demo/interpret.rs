//! Asks the model itself what a few of its latents mean, and how good its answers are: a job like any other, with the resident
//! model as the provider.

use latentd_client::{
    Cache, Client, CreateProviderRequest, ExamplePlan, ExplainRequest, Explainer, Sae, ScorerKind,
};

use super::{super::interp, steps::Steps};
use crate::demo;

/// Id of the provider.
const PROVIDER: &str = "local";
/// Latents that are explained.
const LATENTS: usize = 4;
/// Examples that the explainer is shown.
const TRAIN: u32 = 10;
/// Examples that a scorer is shown, on which the latent fires and on which it does not.
const TEST: u32 = 10;
/// Tokens of an example.
const WINDOW: u32 = 24;

/// Explains and scores the first of `latents`, of an SAE over a cache. `encoder` is the folder of a sentence encoder, where there
/// is one.
pub(super) async fn show(
    client: &Client,
    (sae, cache): (&Sae, &Cache),
    latents: &[u32],
    encoder: Option<&str>,
    steps: &Steps,
) -> anyhow::Result<()> {
    let out = steps.out();
    out.line(
        out.style
            .bold("\nWhat the model says that these latents mean, and how good that is\n"),
    )?;
    steps.begin("registering the model as a provider");
    client
        .create_provider(CreateProviderRequest::local(PROVIDER, demo::MODEL_ID))
        .await?;
    let latents = latents.iter().copied().take(LATENTS);
    let plan = ExamplePlan::new()
        .train(TRAIN)
        .test(TEST, TEST)
        .quantiles(5)
        .window(WINDOW)
        .min_examples(TRAIN);
    let mut request = ExplainRequest::new(&sae.name, latents, Explainer::by(PROVIDER))
        .cache(&cache.name)
        .examples(plan)
        .scorer(ScorerKind::Detection)
        .scorer(ScorerKind::Fuzzing);
    if let Some(folder) = encoder {
        steps.begin("loading the sentence encoder");
        client.load_model(demo::ENCODER_ID, folder).await?;
        request = request.scorer(ScorerKind::Embedding);
    }
    steps.clear();
    let job = client.explain(request).await?;
    interp::follow(job, false, client, out).await?;
    out.line(out.style.dim(
        "\nA model of 135 million parameters is a poor judge: register a larger one with `latentd provider add`.",
    ))?;
    Ok(())
}
