//! `latentd job`: long work, wherever it was started from.

use std::time::SystemTime;

use clap::{Subcommand, ValueEnum};
use futures::{StreamExt as _, TryStreamExt as _};
use latentd_client::{Job, JobFilter, JobState};

use super::{
    Session, failure,
    format::{ago, duration, short},
    interp::{budget::BudgetArgs, summary},
    output::Output,
    progress,
    style::Style,
    table::{Table, pairs},
};

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// List jobs, newest first
    List {
        /// Only jobs in these states
        #[arg(long, value_enum, value_delimiter = ',')]
        state: Vec<StateArg>,
        /// Only jobs of this kind
        #[arg(long)]
        kind: Option<String>,
        /// Most jobs to list
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Describe one
    Get {
        /// JOB, or jobs/JOB
        name: String,
    },
    /// Ask a job to stop
    Cancel {
        /// JOB, or jobs/JOB
        name: String,
    },
    /// Pause a job that explains or scores; calls that are running finish
    Pause {
        /// JOB, or jobs/JOB
        name: String,
    },
    /// Resume a paused job
    ///
    /// Limits given here count everything that the job spends, before and after the pause. Limits that are not given stay as they
    /// are.
    Resume {
        /// JOB, or jobs/JOB
        name: String,
        #[command(flatten)]
        budget: BudgetArgs,
    },
    /// Show the results so far of a job that explains or scores
    Summary {
        /// JOB, or jobs/JOB
        name: String,
    },
    /// Watch a job until it ends
    Watch {
        /// JOB, or jobs/JOB
        name: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum StateArg {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Paused,
}

impl From<StateArg> for JobState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Queued => Self::Queued,
            StateArg::Running => Self::Running,
            StateArg::Succeeded => Self::Succeeded,
            StateArg::Failed => Self::Failed,
            StateArg::Cancelled => Self::Cancelled,
            StateArg::Paused => Self::Paused,
        }
    }
}

/// Carries out one of the commands.
pub(super) async fn run(command: JobCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    match command {
        JobCommand::List { state, kind, limit } => {
            let mut filter = JobFilter::new().states(state.into_iter().map(JobState::from));
            if let Some(kind) = kind {
                filter = filter.kind(kind);
            }
            let jobs: Vec<Job> = client.jobs(filter).take(limit).try_collect().await?;
            out.list(&jobs, |jobs| list(jobs, out, SystemTime::now()))?;
        }
        JobCommand::Get { name } => {
            let job = client.job(&name).await?;
            out.show(&job, |job| describe(job, out, SystemTime::now()))?;
        }
        JobCommand::Cancel { name } => {
            let job = client.cancel_job(&name).await?;
            out.show(&job, |job| match job.state {
                JobState::Cancelled => format!("{} is cancelled", short(&job.name)),
                _ => format!("{} was asked to stop", short(&job.name)),
            })?;
        }
        JobCommand::Pause { name } => {
            let job = client.pause_job(&name).await?;
            out.show(&job, |job| {
                format!("{} is {}", short(&job.name), state(job.state))
            })?;
        }
        JobCommand::Resume { name, budget } => {
            let budget = budget.budget().unwrap_or_default();
            let job = client.resume_job(&name, budget).await?;
            out.show(&job, |job| {
                let id = short(&job.name);
                format!("{id} continues\nwatch it with `latentd job watch {id}`")
            })?;
        }
        JobCommand::Summary { name } => {
            let found = client.job_summary(&name).await?;
            out.show(&found, |found| summary::describe(found, out))?;
        }
        JobCommand::Watch { name } => {
            let job = progress::follow(&client, &name, out).await?;
            if !out.json {
                out.text(&describe(&job, out, SystemTime::now()))?;
            }
            progress::in_full(&job)?;
        }
    }
    Ok(())
}

/// The word for a state.
pub(super) fn state(state: JobState) -> &'static str {
    match state {
        JobState::Unknown => "unknown",
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Paused => "paused",
    }
}

fn coloured(job: &Job, style: Style) -> String {
    let text = state(job.state);
    match job.state {
        JobState::Succeeded if job.in_part => style.bad("succeeded in part"),
        JobState::Succeeded => style.good(text),
        JobState::Failed => style.bad(text),
        JobState::Unknown
        | JobState::Queued
        | JobState::Running
        | JobState::Cancelled
        | JobState::Paused => text.to_owned(),
    }
}

fn list(jobs: &[Job], out: &Output, now: SystemTime) -> String {
    if jobs.is_empty() {
        return out.style.dim("no jobs");
    }
    let mut table = Table::new(["job", "?kind", "state", "?created", "?result", "progress"]);
    for job in jobs {
        table.row([
            short(&job.name),
            job.kind.clone(),
            coloured(job, out.style),
            ago(job.created, now),
            short(&job.result),
            progress::of(job),
        ]);
    }
    table.render(out.style, out.width)
}

fn describe(job: &Job, out: &Output, now: SystemTime) -> String {
    let style = out.style;
    let mut rows = vec![
        ("job", style.bold(&short(&job.name))),
        ("kind", job.kind.clone()),
        ("state", coloured(job, style)),
        ("result", short(&job.result)),
        ("progress", progress::of(job)),
        ("created", ago(job.created, now)),
    ];
    match job.pause_reason.as_str() {
        "" => {}
        "budget" => rows.push(("paused", "its budget is spent".to_owned())),
        "provider" => rows.push(("paused", "a provider refuses every call".to_owned())),
        "requested" => rows.push(("paused", "on request".to_owned())),
        reason => rows.push(("paused", reason.to_owned())),
    }
    if !job.cache.is_empty() {
        rows.push(("cache", short(&job.cache)));
    }
    let why = super::interp::reasons::lines(&job.progress.reasons);
    rows.extend(why.into_iter().map(|line| ("why", line)));
    if let Some((start, end)) = job.started.zip(job.ended) {
        rows.push((
            "took",
            duration(end.duration_since(start).unwrap_or_default()),
        ));
    }
    if job.attempts > 1 {
        rows.push(("attempts", job.attempts.to_string()));
    }
    if job.cancel_requested && !job.state.has_ended() {
        rows.push(("asked to stop", "yes".to_owned()));
    }
    let warnings = job.progress.warnings.iter();
    rows.extend(warnings.map(|warning| ("warning", warning.clone())));
    if !job.spec_json.is_empty() {
        rows.push(("request", job.spec_json.clone()));
    }
    let mut text = pairs(rows, out);
    if let Some(error) = &job.error {
        text.push_str(&failure::describe(error, style));
        text.push('\n');
    }
    text
}
