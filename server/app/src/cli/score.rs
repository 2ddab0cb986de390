//! `latentd score`: a job that scores explanations that exist.

use clap::Args;
use latentd_client::ScoreRequest;

use super::{
    Session,
    failure::Usage,
    interp::{self, budget::BudgetArgs, plan::PlanArgs, scorers::ScorerArgs},
    latents::{Chosen, Selection, choose},
};

#[derive(Args, Debug)]
pub(super) struct ScoreArgs {
    /// MODEL/SAE
    sae: String,
    /// Only the explanations of these latents: 17,99 or 100..120
    #[arg(long)]
    latents: Vec<Selection>,
    /// Only this explanation, by its name or its id. Can be given many times
    #[arg(long = "explanation", value_name = "NAME", value_delimiter = ',')]
    explanations: Vec<String>,
    /// Provider that scores, unless a scorer names its own
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
    scorers: ScorerArgs,
    /// Longest answer of the scorers, in tokens, thinking included [default: that of the provider]
    #[arg(long, value_name = "N")]
    max_answer_tokens: Option<u32>,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

/// Starts the job, and follows it unless it is to be left alone.
pub(super) async fn run(args: ScoreArgs, session: &Session) -> anyhow::Result<()> {
    let detach = args.detach;
    let request = request(args)?;
    let client = session.client().await?;
    let job = client.score(request).await?;
    interp::follow(job, detach, &client, &session.out).await
}

fn request(args: ScoreArgs) -> Result<ScoreRequest, Usage> {
    let longest = args.max_answer_tokens.unwrap_or_default();
    let scorers = args.scorers.scorers(args.provider.as_deref()).into_iter();
    let mut scorers = scorers.map(|scorer| scorer.max_tokens(longest));
    let Some(first) = scorers.next() else {
        return Err(Usage("name at least one --scorer".to_owned()));
    };
    let mut request = ScoreRequest::new(args.sae, first);
    for scorer in scorers {
        request = request.and_scorer(scorer);
    }
    if !args.latents.is_empty() {
        request = match choose(&args.latents).map_err(Usage)? {
            Chosen::Range(start, end) => request.range(start..end),
            Chosen::List(latents) => request.latents(latents),
        };
    }
    if let Some(budget) = args.budget.budget() {
        request = request.budget(budget);
    }
    Ok(request
        .explanations(args.explanations)
        .cache(args.cache.unwrap_or_default())
        .request_id(args.request_id.unwrap_or_default())
        .examples(args.plan.plan()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ScoreArgs,
    }

    fn read(line: &str) -> Result<ScoreRequest, Usage> {
        let words = ["score"].into_iter().chain(line.split(' '));
        request(Line::try_parse_from(words).unwrap().args)
    }

    #[test]
    fn a_line_becomes_a_request() {
        let line = "m/s --explanation a,b --provider p --scorer simulation --calibration linear --min-examples 0";
        let text = format!("{:?}", read(line).unwrap());
        for part in [
            "selector: None",
            "explanations: [\"a\", \"b\"]",
            "kind: Simulation, provider: \"p\"",
            "calibration: Linear",
            "min_examples: Some(0)",
            "budget: None",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(read("m/s --latents 1").is_err());
    }
}
