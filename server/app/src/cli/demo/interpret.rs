//! Explains the latents that were shown, in four ways side by side, and scores the explanations: jobs like any other, with the
//! resident model as the provider.

use std::collections::HashMap;

use latentd_client::{
    Cache, Client, CreateProviderRequest, ExamplePlan, ExplainRequest, Explainer, ExplainerKind,
    Explanation, ExplanationFilter, Sae, ScorerKind,
};

use super::{
    super::{
        interp::table::number,
        output::Output,
        progress,
        table::{Table, wrapped},
        tokens::visible,
    },
    steps::Steps,
};
use crate::demo;

/// Id of the provider.
const PROVIDER: &str = "local";
/// Latents that are explained.
const LATENTS: usize = 8;
/// Examples that an explainer is shown.
const TRAIN: u32 = 10;
/// Examples that a scorer is shown, on which the latent fires and on which it does not.
const TEST: u32 = 10;
/// Tokens of an example.
const WINDOW: u32 = 24;

/// Those who explain, and what the table calls them. The random baseline takes explanations that the others have written.
const EXPLAINERS: [(ExplainerKind, &str); 4] = [
    (ExplainerKind::TopTokens, "top-tokens"),
    (ExplainerKind::Completion, "completion"),
    (ExplainerKind::Default, "chat"),
    (ExplainerKind::RandomBaseline, "random"),
];

/// What the table's words mean.
const LEGEND: &str = "\
top-tokens  the words on which the latent is strongest; asks no language model
completion  the model continues lists of words with their theme
chat        the model is shown examples and asked what they have in common
random      the explanation of another latent; good ones must score better
";

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
    let title = "\nWhat these latents mean, explained in four ways\n";
    out.line(out.style.bold(title))?;
    steps.begin("registering the model as a provider");
    client
        .create_provider(CreateProviderRequest::local(PROVIDER, demo::MODEL_ID))
        .await?;
    let scorer = match encoder {
        Some(folder) => {
            steps.begin("loading the sentence encoder");
            client.load_model(demo::ENCODER_ID, folder).await?;
            ScorerKind::Embedding
        }
        None => ScorerKind::Detection,
    };
    steps.clear();
    let latents: Vec<u32> = latents.iter().copied().take(LATENTS).collect();
    let mut columns = Vec::new();
    for (kind, name) in EXPLAINERS {
        let request = request(sae, cache, &latents, (kind, scorer));
        let job = client.explain(request).await?;
        let job = progress::watch(client, &job.name, out).await?;
        let filter = ExplanationFilter::new().job(&job.name);
        let explanations = client.explanations(filter).to_vec().await?;
        columns.push((name, explanations));
    }
    out.line(out.style.dim(LEGEND))?;
    out.text(&side_by_side(&latents, &columns, scorer, out))?;
    out.text("\n")?;
    out.text(&means(&columns, scorer, out))?;
    let note = format!(
        "The score is that of the {} scorer: 1 is best, 0.5 is chance. A model of 135 million parameters chats badly; \
         `latentd provider add` registers a larger one.",
        scorer.as_str()
    );
    let note = wrapped(&note, out.width.min(80)).join("\n");
    out.line(out.style.dim(&format!("\n{note}")))?;
    Ok(())
}

fn request(
    sae: &Sae,
    cache: &Cache,
    latents: &[u32],
    (kind, scorer): (ExplainerKind, ScorerKind),
) -> ExplainRequest {
    let mut explainer = Explainer::new(kind);
    if matches!(kind, ExplainerKind::Completion | ExplainerKind::Default) {
        explainer = explainer.provider(PROVIDER);
    }
    let mut scored_by = latentd_client::Scorer::new(scorer);
    if scorer == ScorerKind::Detection {
        scored_by = scored_by.provider(PROVIDER);
    }
    let plan = ExamplePlan::new()
        .train(TRAIN)
        .test(TEST, TEST)
        .quantiles(5)
        .window(WINDOW)
        .min_examples(TRAIN);
    ExplainRequest::new(&sae.name, latents.iter().copied(), explainer)
        .cache(&cache.name)
        .examples(plan)
        .scorer(scored_by)
}

/// The explanations of each latent under each other, with their scores.
fn side_by_side(
    latents: &[u32],
    columns: &[(&str, Vec<Explanation>)],
    scorer: ScorerKind,
    out: &Output,
) -> String {
    let mut table = Table::new([">latent", "explainer", ">score", "explanation"]);
    for latent in latents {
        let mut first = true;
        for (name, explanations) in columns {
            let Some(explanation) = explanations.iter().find(|e| e.latent == *latent) else {
                continue;
            };
            let head = if first {
                latent.to_string()
            } else {
                String::new()
            };
            first = false;
            let score = explanation.score(scorer).and_then(|score| score.value);
            table.row([
                out.style.bold(&head),
                (*name).to_owned(),
                number(score),
                visible(&explanation.text),
            ]);
        }
    }
    table.render(out.style, out.width)
}

/// The mean score of each explainer.
fn means(columns: &[(&str, Vec<Explanation>)], scorer: ScorerKind, out: &Output) -> String {
    let mut table = Table::new(["explainer", ">latents", ">mean score"]);
    for (name, explanations) in columns {
        let scores: HashMap<u32, f64> = explanations
            .iter()
            .filter_map(|e| Some((e.latent, e.score(scorer)?.value?)))
            .collect();
        let mean = scores.values().sum::<f64>() / scores.len() as f64;
        table.row([
            (*name).to_owned(),
            scores.len().to_string(),
            number((!scores.is_empty()).then_some(mean)),
        ]);
    }
    table.render(out.style, out.width)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use latentd_client::{Provenance, Score};

    use super::*;

    fn explanation(latent: u32, text: &str, value: f64) -> Explanation {
        let score = Score {
            name: String::new(),
            explanation: String::new(),
            latent,
            scorer: "embedding".into(),
            value: Some(value),
            interval: None,
            n: 20,
            n_failed: 0,
            metrics: BTreeMap::new(),
            job: String::new(),
            provider: String::new(),
            provider_model: String::new(),
            prompt_version: String::new(),
            calibration: String::new(),
            examples: Vec::new(),
            created: None,
        };
        Explanation {
            name: String::new(),
            latent,
            text: text.into(),
            explainer: String::new(),
            provenance: Provenance::default(),
            scores: vec![score],
            created: None,
            relevance: None,
        }
    }

    #[test]
    fn explainers_stand_side_by_side() {
        let columns = [
            (
                "top-tokens",
                vec![explanation(7, "tax", 0.9), explanation(9, "rise", 0.8)],
            ),
            ("chat", vec![explanation(7, "The end.", 0.5)]),
        ];
        let out = Output::plain(80);
        assert_eq!(
            side_by_side(&[7, 9], &columns, ScorerKind::Embedding, &out),
            "\
latent  explainer   score  explanation
     7  top-tokens  0.900  tax
        chat        0.500  The end.
     9  top-tokens  0.800  rise
"
        );
        assert_eq!(
            means(&columns, ScorerKind::Embedding, &out),
            "\
explainer   latents  mean score
top-tokens        2       0.850
chat              1       0.500
"
        );
        assert!(LEGEND.lines().all(|line| line.chars().count() <= 80));
    }
}
