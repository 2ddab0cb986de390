//! Following a job: a bar on a terminal, a line now and then elsewhere, events for scripts.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use latentd_client::{Client, Job, JobState, Progress, Spent};

use super::{
    format::{count, dollars, duration, plural},
    output::Output,
};

/// Time between two lines where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Follows a job from its first event until it ends well; Ctrl-C leaves the job at work.
///
/// # Errors
///
/// Those of [`watch`], and one that says how to go on after Ctrl-C.
pub(super) async fn follow(client: &Client, name: &str, out: &Output) -> anyhow::Result<Job> {
    tokio::select! {
        job = watch(client, name, out) => job,
        _ = tokio::signal::ctrl_c() => anyhow::bail!(
            "stopped watching; the job goes on (`latentd job watch {name}`, `latentd job cancel {name}`)"
        ),
    }
}

/// Shows how a job goes until it ends well.
///
/// # Errors
///
/// The job's own error if it failed, and one that says so if it was cancelled or paused by itself.
pub(super) async fn watch(client: &Client, name: &str, out: &Output) -> anyhow::Result<Job> {
    let mut events = client.watch_job(name, 0);
    let mut view = View::new(out);
    let mut last = None;
    while let Some(event) = events.next().await {
        let event = event?;
        if out.json {
            out.json(&event)?;
        }
        view.show(&event.job);
        // The event may be an old one, of a job that was resumed since.
        if event.job.paused_itself() {
            let job = client.job(name).await?;
            if job.paused_itself() {
                view.clear();
                anyhow::bail!(held(&job));
            }
        }
        last = Some(event.job);
    }
    view.clear();
    let job = last.ok_or_else(|| anyhow::anyhow!("{name} has no events"))?;
    match (job.state, &job.error) {
        (JobState::Succeeded, _) => Ok(job),
        (JobState::Cancelled, _) => anyhow::bail!("{} was cancelled", job.name),
        (_, Some(error)) => Err(error.clone().into()),
        (_, None) => anyhow::bail!("{} failed", job.name),
    }
}

/// Why a job does not go on by itself, and what to do about it.
fn held(job: &Job) -> String {
    let (name, so_far) = (&job.name, of(job));
    match job.pause_reason.as_str() {
        "budget" => format!(
            "{name} is paused, as its budget is spent: {so_far}\n  `latentd job resume {name}` with a larger --max-calls, \
             --max-tokens or --max-dollars lets it go on"
        ),
        "provider" => format!(
            "{name} is paused, as a provider refuses its key or does not know its model: {so_far}\n  \
             `latentd provider probe` says more; `latentd job resume {name}` lets the job go on once that is mended"
        ),
        reason => format!(
            "{name} is paused ({reason}): {so_far}\n  `latentd job resume {name}` lets it go on"
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
            Self::Bar(bar("{prefix:12} {bar:24} {percent:>3} %  {wide_msg}"))
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
                bar.set_prefix(title(job));
                bar.set_length(progress.total.max(1));
                bar.set_position(progress.done);
                bar.set_message(numbers(progress));
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
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(1).with_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn title(job: &Job) -> String {
    let waits = matches!(job.state, JobState::Queued | JobState::Paused);
    if waits || job.progress.phase.is_empty() {
        return super::job::state(job.state).to_owned();
    }
    job.progress.phase.clone()
}

/// How far a job is, or how far it came.
pub(super) fn of(job: &Job) -> String {
    let still = Progress {
        rate: 0.0,
        eta: None,
        ..job.progress.clone()
    };
    numbers(if job.state.has_ended() || job.state == JobState::Paused {
        &still
    } else {
        &job.progress
    })
}

/// `120 000 of 200 000 tokens, 3 200 a second, 25 s to go`; of a job that calls providers,
/// `40 of 150 items (1 failed, 3 left out), 25 s to go, $0.12, 180 calls (20 reused), 96 000 tokens`.
fn numbers(progress: &Progress) -> String {
    if progress.unit.is_empty() {
        return String::new();
    }
    let mut text = match progress.total {
        0 => format!("{} {}", count(progress.done), progress.unit),
        total => format!(
            "{} of {} {}",
            count(progress.done),
            count(total),
            progress.unit
        ),
    };
    let mut lost = Vec::new();
    if progress.failed > 0 {
        lost.push(format!("{} failed", count(progress.failed)));
    }
    if progress.skipped > 0 {
        lost.push(format!("{} left out", count(progress.skipped)));
    }
    if !lost.is_empty() {
        let _ = write!(text, " ({})", lost.join(", "));
    }
    if progress.rate >= 1.0 {
        let _ = write!(text, ", {} a second", count(progress.rate.round() as u64));
    }
    if let Some(eta) = progress.eta {
        let _ = write!(
            text,
            ", {} to go",
            duration(Duration::from_secs(eta.as_secs()))
        );
    }
    if let Some(spent) = &progress.spent {
        let _ = write!(text, ", {}", cost(spent));
    }
    text
}

/// `$0.12, 180 calls (20 reused), 96 000 tokens`; without dollars where nothing has a price.
pub(super) fn cost(spent: &Spent) -> String {
    let mut parts = Vec::new();
    if spent.dollars > 0.0 {
        parts.push(dollars(spent.dollars));
    }
    let reused = match spent.reused {
        0 => String::new(),
        reused => format!(" ({} reused)", count(reused)),
    };
    parts.push(format!("{}{reused}", plural(spent.calls, "call")));
    parts.push(plural(spent.tokens(), "token"));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_what_is_known() {
        let mut progress = Progress::default();
        assert_eq!(numbers(&progress), "");
        progress.unit = "tokens".into();
        progress.done = 1200;
        assert_eq!(numbers(&progress), "1 200 tokens");
        progress.total = 200_000;
        progress.rate = 3210.4;
        progress.eta = Some(Duration::from_millis(61_900));
        assert_eq!(
            numbers(&progress),
            "1 200 of 200 000 tokens, 3 210 a second, 1 min 1 s to go"
        );
    }

    #[test]
    fn numbers_say_what_it_costs() {
        let mut progress = Progress {
            unit: "items".into(),
            done: 40,
            total: 150,
            eta: Some(Duration::from_secs(25)),
            failed: 1,
            skipped: 3,
            spent: Some(Spent {
                calls: 180,
                reused: 20,
                prompt_tokens: 90_000,
                completion_tokens: 6000,
                dollars: 0.123,
            }),
            ..Progress::default()
        };
        assert_eq!(
            numbers(&progress),
            "40 of 150 items (1 failed, 3 left out), 25 s to go, $0.12, 180 calls (20 reused), 96 000 tokens"
        );
        progress.failed = 0;
        progress.eta = None;
        progress.spent = Some(Spent {
            calls: 1,
            ..Spent::default()
        });
        assert_eq!(
            numbers(&progress),
            "40 of 150 items (3 left out), 1 call, 0 tokens"
        );
    }
}
