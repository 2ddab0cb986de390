//! `latentd explain`: a job that explains latents and scores the explanations.

use clap::{Args, ValueEnum};
use latentd_client::{ExplainRequest, Explainer, ExplainerKind};

use super::{
    Session,
    failure::Usage,
    interp::{self, budget::BudgetArgs, plan::PlanArgs, scorers::ScorerArgs},
    latents::{Chosen, Selection, choose},
};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// MODEL/SAE
    sae: String,
    /// Latents: 17,99 or 100..120, or 0.. for all
    #[arg(long, required = true)]
    latents: Vec<Selection>,
    /// Provider that explains, and that scores unless a scorer names its own; `latentd provider add` registers one
    #[arg(long)]
    provider: Option<String>,
    /// CACHE, or caches/CACHE [default: the one that holds the SAE; of several the one of `cache pin`]
    #[arg(long)]
    cache: Option<String>,
    /// Repeating the command with the same id returns the job that it started first
    #[arg(long)]
    request_id: Option<String>,
    /// Start the job and return at once
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    explainer: ExplainerArgs,
    #[command(flatten)]
    scorers: ScorerArgs,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Explainer")]
struct ExplainerArgs {
    /// How latents are explained
    #[arg(long, value_enum, default_value_t)]
    explainer: ExplainerArg,
    /// Mark tokens whose activation is at least this share of the highest in their example [default: 0.3; 0.6 with single-token]
    #[arg(long, value_name = "SHARE")]
    threshold: Option<f64>,
    /// Ask the provider to reason before it answers
    #[arg(long)]
    chain_of_thought: bool,
    /// Sampling temperature of the explainer's provider
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f64,
    /// Longest answer of the explainer and of scorers, in tokens, thinking included [default: that of the provider]
    #[arg(long, value_name = "N")]
    max_answer_tokens: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ExplainerArg {
    /// Examples with the strong tokens marked and their activations
    #[default]
    Default,
    /// Examples with only the strongest token marked
    SingleToken,
    /// Examples beside ones on which the latent does not fire
    Contrastive,
    /// Examples, and the tokens that the latent promotes
    MaxActLogits,
    /// No language model: the words at the peaks of the strongest examples with their share, and the tokens that the latent
    /// promotes
    TopTokens,
    /// For base and small models: these words, to be continued with their theme
    Completion,
    /// No explanation is written: those that exist are scored
    None,
    /// A baseline: each latent gets the explanation of another one
    RandomBaseline,
}

/// Starts the job, and follows it unless it is to be left alone.
pub(super) async fn run(args: ExplainArgs, session: &Session) -> anyhow::Result<()> {
    let detach = args.detach;
    let request = request(args)?;
    let client = session.client().await?;
    let job = client.explain(request).await?;
    interp::follow(job, detach, &client, &session.out).await
}

fn request(args: ExplainArgs) -> anyhow::Result<ExplainRequest> {
    let explainer = explainer(&args.explainer, args.provider.as_deref())?;
    let mut request = match choose(&args.latents).map_err(Usage)? {
        Chosen::Range(start, end) => ExplainRequest::range(args.sae, start..end, explainer),
        Chosen::List(latents) => ExplainRequest::new(args.sae, latents, explainer),
    };
    let longest = args.explainer.max_answer_tokens.unwrap_or_default();
    for scorer in args.scorers.scorers(args.provider.as_deref()) {
        request = request.scorer(scorer.max_tokens(longest));
    }
    if let Some(budget) = args.budget.budget() {
        request = request.budget(budget);
    }
    Ok(request
        .cache(args.cache.unwrap_or_default())
        .request_id(args.request_id.unwrap_or_default())
        .examples(args.plan.plan()))
}

fn explainer(args: &ExplainerArgs, provider: Option<&str>) -> Result<Explainer, Usage> {
    let kind = match args.explainer {
        ExplainerArg::Default => ExplainerKind::Default,
        ExplainerArg::SingleToken => ExplainerKind::SingleToken,
        ExplainerArg::Contrastive => ExplainerKind::Contrastive,
        ExplainerArg::MaxActLogits => ExplainerKind::MaxActLogits,
        ExplainerArg::TopTokens => ExplainerKind::TopTokens,
        ExplainerArg::Completion => ExplainerKind::Completion,
        ExplainerArg::None => ExplainerKind::None,
        ExplainerArg::RandomBaseline => ExplainerKind::RandomBaseline,
    };
    let asks = !matches!(
        kind,
        ExplainerKind::TopTokens | ExplainerKind::None | ExplainerKind::RandomBaseline
    );
    let mut explainer = Explainer::new(kind)
        .temperature(args.temperature)
        .max_tokens(args.max_answer_tokens.unwrap_or_default());
    match provider {
        Some(provider) if asks => explainer = explainer.provider(provider),
        None if asks => {
            return Err(Usage(
                "name the --provider that explains; `latentd provider list` lists those there are, \
                 `latentd provider add` registers one"
                    .to_owned(),
            ));
        }
        Some(_) | None => {}
    }
    if let Some(threshold) = args.threshold {
        explainer = explainer.threshold(threshold);
    }
    if args.chain_of_thought {
        explainer = explainer.chain_of_thought();
    }
    Ok(explainer)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ExplainArgs,
    }

    fn read(line: &str) -> anyhow::Result<ExplainRequest> {
        let words = ["explain"].into_iter().chain(line.split(' '));
        request(Line::try_parse_from(words)?.args)
    }

    #[test]
    fn a_line_becomes_a_request() {
        let line = "m/s --latents 1,2,3 --latents 7..9 --provider p --scorer detection --scorer fuzzing@q,embedding \
                    --n-train 4 --seed 7 --max-dollars 0.5 --non-activating co-occurrence --max-answer-tokens 90";
        let text = format!("{:?}", read(line).unwrap());
        for part in [
            "latents: [1, 2, 3, 7, 8]",
            "kind: Detection, provider: \"p\"",
            "kind: Fuzzing, provider: \"q\"",
            "kind: Embedding, provider: \"\"",
            "n_train: 4",
            "seed: 7",
            "dollars: 0.5",
            "non_activating: NeighboursCoOccurrence",
            "max_tokens: 90",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn an_explainer_that_asks_needs_a_provider() {
        let error = read("m/s --latents 1").unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("--provider"));
        assert!(read("m/s --latents 1 --explainer none --scorer intruder@p").is_ok());
        assert!(read("m/s --provider p").is_err());
        assert!(read("m/s --latents 1 --provider p --scorer recall").is_err());
    }
}
