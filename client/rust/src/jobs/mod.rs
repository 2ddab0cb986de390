//! JobService: long work, which survives restarts of the server and of the client.

mod progress;
mod watch;

use std::time::SystemTime;

use latentd_proto::v1 as proto;
use serde::Serialize;

pub use progress::{ItemReason, Progress, Spent};
pub use watch::{JobEvent, JobWatch};

use crate::{Budget, Client, Error, Pages, Result, client::stub, retry::Repeat, time::system_time};

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// A state that this client does not know.
    Unknown,
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Ended, with all results stored.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended because it was asked to.
    Cancelled,
    /// Waits to be resumed: somebody paused it, its budget is spent, or a provider refuses every call.
    Paused,
}

impl JobState {
    /// Whether nothing more will happen.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A piece of long work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Job {
    /// Resource name: `jobs/{job}`.
    pub name: String,
    /// Kind of work: `build_cache`, `explain_latents` or `score_explanations`.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// Resource that it makes, such as `caches/{cache}`.
    pub result: String,
    /// How far it is.
    pub progress: Progress,
    /// Why it failed.
    pub error: Option<Error>,
    /// When it was asked for.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub created: Option<SystemTime>,
    /// When it first began to work.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub started: Option<SystemTime>,
    /// When it ended.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub ended: Option<SystemTime>,
    /// Times it began to work: more than 1 after a restart.
    pub attempts: u32,
    /// The request that started it, as JSON; empty in an event that only tells of progress.
    pub spec_json: String,
    /// Someone asked it to stop.
    pub cancel_requested: bool,
    /// Why it is paused: `requested`, `budget`, or `provider` where every call of a provider would fail; empty in other
    /// states.
    pub pause_reason: String,
    /// `caches/{cache}` that it reads; only of jobs that explain and score.
    pub cache: String,
    /// It succeeded in part: some of its items failed and have no result. [`Progress::reasons`] says why.
    pub in_part: bool,
}

impl Job {
    /// Whether it paused by itself: its budget is spent, or a provider refuses every call. It goes on only if somebody
    /// mends that and resumes it.
    pub fn paused_itself(&self) -> bool {
        self.state == JobState::Paused && self.pause_reason != "requested"
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct JobFilter(proto::ListJobsRequest);

impl JobFilter {
    /// All jobs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only jobs in one of these states.
    pub fn states(mut self, states: impl IntoIterator<Item = JobState>) -> Self {
        self.0.states = states
            .into_iter()
            .map(|state| proto::JobState::from(state).into())
            .collect();
        self
    }

    /// Only jobs of this kind.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.0.kind = kind.into();
        self
    }
}

impl Client {
    /// One job.
    pub async fn job(&self, name: &str) -> Result<Job> {
        let request = proto::GetJobRequest {
            name: name.to_owned(),
        };
        let job = self.call(Repeat::Always, request, |request| async {
            stub!(self, job_service_client::JobServiceClient)
                .get_job(request)
                .await
        });
        Ok(job.await?.into())
    }

    /// Jobs, newest first.
    pub fn jobs(&self, filter: JobFilter) -> Pages<Job> {
        let client = self.clone();
        Pages::new(move |page_token| {
            let client = client.clone();
            let request = proto::ListJobsRequest {
                page_token,
                ..filter.0.clone()
            };
            async move {
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, job_service_client::JobServiceClient)
                            .list_jobs(request)
                            .await
                    })
                    .await?;
                Ok((
                    page.jobs.into_iter().map(Job::from).collect(),
                    page.next_page_token,
                ))
            }
        })
    }

    /// Asks a job to stop. It ends soon after; a job that has ended is refused with `JOB_ENDED`.
    pub async fn cancel_job(&self, name: &str) -> Result<Job> {
        let request = proto::CancelJobRequest {
            name: name.to_owned(),
        };
        let job = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, job_service_client::JobServiceClient)
                .cancel_job(request)
                .await
        });
        Ok(job.await?.into())
    }

    /// Asks a job to wait: what is under way is finished, nothing new begins. Only jobs that explain and score can be
    /// paused; another is refused with `JOB_NOT_PAUSABLE`.
    pub async fn pause_job(&self, name: &str) -> Result<Job> {
        let request = proto::PauseJobRequest {
            name: name.to_owned(),
        };
        let job = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, job_service_client::JobServiceClient)
                .pause_job(request)
                .await
        });
        Ok(job.await?.into())
    }

    /// Lets a paused job go on. What `budget` sets is the new limit of all that the job may spend, before and after the
    /// pause together; what it leaves at 0 stays as it is.
    pub async fn resume_job(&self, name: &str, budget: Budget) -> Result<Job> {
        let request = proto::ResumeJobRequest {
            name: name.to_owned(),
            budget_calls: budget.calls,
            budget_tokens: budget.tokens,
            budget_dollars: budget.dollars,
        };
        let job = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, job_service_client::JobServiceClient)
                .resume_job(request)
                .await
        });
        Ok(job.await?.into())
    }
}

impl From<proto::JobState> for JobState {
    fn from(state: proto::JobState) -> Self {
        match state {
            proto::JobState::Unspecified => Self::Unknown,
            proto::JobState::Queued => Self::Queued,
            proto::JobState::Running => Self::Running,
            proto::JobState::Succeeded => Self::Succeeded,
            proto::JobState::Failed => Self::Failed,
            proto::JobState::Cancelled => Self::Cancelled,
            proto::JobState::Paused => Self::Paused,
        }
    }
}

impl From<JobState> for proto::JobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Unknown => Self::Unspecified,
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
            JobState::Paused => Self::Paused,
        }
    }
}

impl From<proto::Job> for Job {
    fn from(job: proto::Job) -> Self {
        Self {
            state: job.state().into(),
            name: job.name,
            kind: job.kind,
            result: job.result,
            progress: job.progress.map(Progress::from).unwrap_or_default(),
            error: job.error.map(Error::from),
            created: system_time(job.create_time),
            started: system_time(job.start_time),
            ended: system_time(job.end_time),
            attempts: job.attempts,
            spec_json: job.spec_json,
            cancel_requested: job.cancel_requested,
            pause_reason: job.pause_reason,
            cache: job.cache,
            in_part: job.in_part,
        }
    }
}
