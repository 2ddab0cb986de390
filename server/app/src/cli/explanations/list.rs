//! `latentd explanations list`.

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use latentd_client::{Client, Explanation, ExplanationFilter, ScorerKind};

use super::super::{
    failure::Usage,
    interp::{scorers::kind_of, table},
    latents::{Chosen, Selection, choose},
    output::Output,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct ListArgs {
    /// Only of this MODEL/SAE
    sae: Option<String>,
    /// Only of these latents: 17,99 or 100..120
    #[arg(long)]
    latents: Option<Selection>,
    /// Only by this explainer, such as default or hand
    #[arg(long)]
    explainer: Option<String>,
    /// Only those with a score of this scorer
    #[arg(long, value_parser = kind_of)]
    scorer: Option<ScorerKind>,
    /// Only those whose score is at least this
    #[arg(long, value_name = "SCORE", requires = "scorer")]
    min_score: Option<f64>,
    /// Only those whose score is at most this
    #[arg(long, value_name = "SCORE", requires = "scorer")]
    max_score: Option<f64>,
    /// Only of this job
    #[arg(long)]
    job: Option<String>,
    /// Most explanations to list
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Lists.
pub(super) async fn run(args: ListArgs, client: &Client, out: &Output) -> anyhow::Result<()> {
    let limit = args.limit;
    let filter = filter(args)?;
    let explanations: Vec<Explanation> = client
        .explanations(filter)
        .take(limit)
        .try_collect()
        .await?;
    out.list(&explanations, |explanations| {
        if explanations.is_empty() {
            return out
                .style
                .dim("no explanations; `latentd explain` writes some");
        }
        table::explanations(explanations, out)
    })?;
    Ok(())
}

fn filter(args: ListArgs) -> Result<ExplanationFilter, Usage> {
    let mut filter = ExplanationFilter::new()
        .sae(args.sae.unwrap_or_default())
        .explainer(args.explainer.unwrap_or_default().replace('-', "_"))
        .job(args.job.unwrap_or_default());
    if let Some(selection) = args.latents {
        filter = filter.latents(match choose(&[selection]).map_err(Usage)? {
            Chosen::List(latents) => latents,
            Chosen::Range(_, 0) => {
                return Err(Usage("a range of latents needs an end here".to_owned()));
            }
            Chosen::Range(start, end) => (start..end).collect(),
        });
    }
    if let Some(scorer) = args.scorer {
        filter = filter.scorer(scorer);
    }
    if let Some(score) = args.min_score {
        filter = filter.min_score(score);
    }
    if let Some(score) = args.max_score {
        filter = filter.max_score(score);
    }
    Ok(filter)
}
