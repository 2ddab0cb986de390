//! Following a job: a bar on a terminal, a line now and then elsewhere, events for scripts.

mod eta;
mod numbers;

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use latentd_client::{Client, Job, JobState};

pub(super) use numbers::{cost, of};

use super::{
    failure::{InPart, Stopped},
    format::short,
    output::Output,
};
use eta::Eta;
use numbers::{amount, numbers, pace};

/// A bar with what is known beside it.
const ONE_LINE: &str = "{prefix:10} {bar:10} {percent:>3} %  {wide_msg}";
/// A bar with what is done beside it, and what it costs under it.
const TWO_LINES: &str = "{bar:16} {percent:>3} %  {prefix}\n{wide_msg}";

/// Time between two lines where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Follows a job from its first event until it ends well; Ctrl-C leaves the job at work.
///
/// # Errors
///
/// Those of [`watch`], and after Ctrl-C [`Stopped`], which says how to go on.
pub(super) async fn follow(client: &Client, name: &str, out: &Output) -> anyhow::Result<Job> {
    tokio::select! {
        job = watch(client, name, out) => job,
        _ = tokio::signal::ctrl_c() => Err(Stopped(left(name)).into()),
    }
}

/// What to say to somebody who stopped watching.
fn left(name: &str) -> String {
    let id = short(name);
    format!(
        "The job continues on the server.\n  watch it again: latentd job watch {id}\n  stop it: latentd job cancel {id}"
    )
}

/// Shows how a job goes until it ends well.
///
/// # Errors
///
/// The job's own error if it failed, and one that says so if it was cancelled or paused by itself.
pub(super) async fn watch(client: &Client, name: &str, out: &Output) -> anyhow::Result<Job> {
    let mut events = client.watch_job(name, 0);
    let mut view = View::new(out);
    let mut eta = Eta::default();
    let mut last = None;
    while let Some(event) = events.next().await {
        let event = event?;
        if out.json {
            out.json(&event)?;
        }
        let mut job = event.job;
        let progress = &mut job.progress;
        progress.eta = eta.show(&progress.phase, progress.eta, Instant::now());
        view.show(&job);
        // The event may be an old one, of a job that was resumed since.
        if job.paused_itself() {
            let now = client.job(name).await?;
            if now.paused_itself() {
                view.clear();
                anyhow::bail!(held(&now));
            }
        }
        last = Some(job);
    }
    view.clear();
    let job = last.ok_or_else(|| anyhow::anyhow!("{name} has no events"))?;
    if !out.json {
        for warning in &job.progress.warnings {
            out.remark(format!("warning: {warning}"));
        }
    }
    match (job.state, &job.error) {
        (JobState::Succeeded, _) => Ok(job),
        (JobState::Cancelled, _) => anyhow::bail!("{} was cancelled", short(&job.name)),
        (_, Some(error)) => Err(error.clone().into()),
        (_, None) => anyhow::bail!("{} failed", short(&job.name)),
    }
}

/// Fails for a job that succeeded in part: to be called once its results were shown.
pub(super) fn in_full(job: &Job) -> anyhow::Result<()> {
    if !job.in_part {
        return Ok(());
    }
    let message = format!(
        "{} succeeded in part: {} of {} items failed",
        short(&job.name),
        job.progress.failed,
        job.progress.total
    );
    Err(InPart(message).into())
}

/// Why a job does not go on by itself, and what to do about it.
fn held(job: &Job) -> String {
    let (name, so_far) = (short(&job.name), of(job));
    match job.pause_reason.as_str() {
        "budget" => format!(
            "{name} is paused because its budget is spent: {so_far}\n  `latentd job resume {name}` with a larger --max-calls, \
             --max-tokens or --max-dollars continues it"
        ),
        "provider" => format!(
            "{name} is paused because a provider refuses its key or does not know its model: {so_far}\n  \
             `latentd provider probe PROVIDER` says more; when that is repaired, `latentd job resume {name}` continues the job"
        ),
        reason => format!(
            "{name} is paused ({reason}): {so_far}\n  `latentd job resume {name}` continues it"
        ),
    }
}

/// What is seen of a job.
enum View {
    Bar(ProgressBar),
    Lines {
        out: Output,
        phase: String,
        at: Option<Instant>,
    },
    Nothing,
}

impl View {
    fn new(out: &Output) -> Self {
        if out.json {
            Self::Nothing
        } else if out.interactive {
            Self::Bar(bar(ONE_LINE))
        } else {
            Self::Lines {
                out: out.clone(),
                phase: String::new(),
                at: None,
            }
        }
    }

    fn show(&mut self, job: &Job) {
        let progress = &job.progress;
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => {
                bar.set_length(progress.total.max(1));
                bar.set_position(progress.done);
                if progress.spent.is_some() {
                    bar.set_style(bar_style(TWO_LINES));
                    bar.set_prefix(format!("{}, {}", title(job), amount(progress)));
                    bar.set_message(pace(progress).join(", "));
                } else {
                    bar.set_prefix(title(job));
                    bar.set_message(numbers(progress));
                }
                bar.tick();
            }
            Self::Lines { out, phase, at } => {
                let due = at.is_none_or(|at| at.elapsed() >= LINE_EVERY);
                if (due || *phase != title(job)) && !job.state.has_ended() {
                    let numbers = numbers(progress);
                    let separator = if numbers.is_empty() { "" } else { ": " };
                    out.remark(format!("{}{separator}{numbers}", title(job)));
                    *phase = title(job);
                    *at = Some(Instant::now());
                }
            }
        }
    }

    fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// A bar on standard error.
pub(super) fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(1).with_style(bar_style(template));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

fn title(job: &Job) -> String {
    let waits = matches!(job.state, JobState::Queued | JobState::Paused);
    if waits || job.progress.phase.is_empty() {
        return super::job::state(job.state).to_owned();
    }
    job.progress.phase.clone()
}
