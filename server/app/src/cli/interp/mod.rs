//! What `explain`, `score` and `explanations` share: the parts of a request, the end of a job, tables of explanations.

pub(super) mod budget;
pub(super) mod plan;
pub(super) mod reasons;
pub(super) mod scorers;
pub(super) mod summary;
pub(super) mod table;

use futures::{StreamExt as _, TryStreamExt as _};
use latentd_client::{Client, Error, Explanation, ExplanationFilter, Job};

use super::{format::short, output::Output, progress};

/// Explanations shown at the end of a job.
const SHOWN: usize = 20;

/// Follows a job that explains or scores until it ends, then shows what it found; or says only that it began.
pub(super) async fn follow(
    job: Job,
    detach: bool,
    client: &Client,
    out: &Output,
) -> anyhow::Result<()> {
    if detach {
        out.show(&job, |job| {
            let id = short(&job.name);
            format!(
                "job {id} has begun\nwatch it with `latentd job watch {id}`, see its results with `latentd job summary {id}`"
            )
        })?;
        return Ok(());
    }
    let followed = progress::follow(client, &job.name, out).await;
    // A job of which nothing succeeded says why in its summary.
    if let Err(error) = &followed {
        let reason = error
            .downcast_ref()
            .map(|error: &Error| error.reason.as_str());
        if reason != Some("NOTHING_SUCCEEDED") {
            return followed.map(drop);
        }
    }
    let summary = client.job_summary(&job.name).await?;
    out.show(&summary, |summary| summary::describe(summary, out))?;
    let job = followed?;
    if out.json {
        return progress::in_full(&job);
    }
    let filter = ExplanationFilter::new().job(&job.name);
    let explanations: Vec<Explanation> = client
        .explanations(filter)
        .take(SHOWN)
        .try_collect()
        .await?;
    if !explanations.is_empty() {
        out.text("\n")?;
        out.text(&table::explanations(&explanations, out))?;
    }
    if explanations.len() == SHOWN {
        let more = format!(
            "`latentd explanations list --job {}` lists them all",
            short(&job.name)
        );
        out.line(out.style.dim(&more))?;
    }
    progress::in_full(&job)
}
