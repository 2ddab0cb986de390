//! JobService: long work, which survives restarts of the server and of the client.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use latentd_proto::v1 as proto;
use serde::Serialize;
use tokio::time::Instant;
use tonic::{Code, Streaming};

use crate::{Client, Error, Pages, Result, client::stub, retry::Repeat, time::system_time};

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
    /// Kind of work: `build_cache`.
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
    /// The request that started it, as JSON.
    pub spec_json: String,
    /// Someone asked it to stop.
    pub cancel_requested: bool,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What it does now, such as `tokenizing` or `encoding`.
    pub phase: String,
    /// What is counted: `tokens`.
    pub unit: String,
    /// Units done and committed.
    pub done: u64,
    /// Units in all; 0 while it is not known.
    pub total: u64,
    /// Units a second.
    pub rate: f64,
    /// Time to go at that rate, if it can be told.
    #[serde(rename = "eta_seconds", serialize_with = "crate::time::some_seconds")]
    pub eta: Option<Duration>,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobEvent {
    /// Grows with every event of the job.
    pub id: u64,
    /// When it happened.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub time: Option<SystemTime>,
    /// The job after it.
    pub job: Job,
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

    /// The events of a job after the event `after` (0 for all that are kept), until it ends.
    ///
    /// A lost connection, or a restart of the server, is not seen: the watch goes on after the last event, for as long as
    /// [`Options::reconnect_for`](crate::Options::reconnect_for) says.
    pub fn watch_job(&self, name: &str, after: u64) -> JobWatch {
        let watch = Watch {
            client: self.clone(),
            request: proto::WatchJobRequest {
                name: name.to_owned(),
                after_event_id: after,
            },
            events: None,
            lost: None,
            ended: false,
        };
        JobWatch {
            events: futures::stream::unfold(watch, |mut watch| async {
                let event = watch.next().await?;
                Some((event, watch))
            })
            .boxed(),
        }
    }

    /// Waits until a job ends, however it ends.
    pub async fn wait_job(&self, name: &str) -> Result<Job> {
        let mut events = self.watch_job(name, 0);
        let mut last = None;
        while let Some(event) = events.next().await {
            last = Some(event?.job);
        }
        last.ok_or_else(|| Error::malformed("a job without events"))
    }
}

/// The events of a job.
#[must_use = "nothing is asked for until the events are taken"]
pub struct JobWatch {
    events: BoxStream<'static, Result<JobEvent>>,
}

impl Stream for JobWatch {
    type Item = Result<JobEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(cx)
    }
}

impl fmt::Debug for JobWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobWatch")
    }
}

struct Watch {
    client: Client,
    request: proto::WatchJobRequest,
    events: Option<Streaming<proto::JobEvent>>,
    /// Since when nothing came, and how often it was tried since.
    lost: Option<(Instant, u32)>,
    ended: bool,
}

impl Watch {
    /// The next event; none after the job has ended or an error was returned.
    async fn next(&mut self) -> Option<Result<JobEvent>> {
        while !self.ended {
            match self.attempt().await {
                Ok(event) => {
                    self.lost = None;
                    self.request.after_event_id = event.id;
                    self.ended = event.job.state.has_ended();
                    return Some(Ok(event));
                }
                Err(error) => {
                    self.events = None;
                    let (since, attempts) = self.lost.unwrap_or_else(|| (Instant::now(), 0));
                    let gone = since.elapsed() >= self.client.options.reconnect_for;
                    if error.code != Code::Unavailable || gone {
                        self.ended = true;
                        return Some(Err(error));
                    }
                    self.lost = Some((since, attempts + 1));
                    let retry = self.client.options.retry;
                    let wait = retry.delay(attempts + 1, error.retry_after, fastrand::f64());
                    tokio::time::sleep(wait).await;
                }
            }
        }
        None
    }

    async fn attempt(&mut self) -> Result<JobEvent> {
        if self.events.is_none() {
            let mut stub = stub!(self.client, job_service_client::JobServiceClient);
            self.events = Some(stub.watch_job(self.request.clone()).await?.into_inner());
        }
        let broke_off = || Error::local(Code::Unavailable, "the stream broke off");
        let events = self.events.as_mut().ok_or_else(broke_off)?;
        let event = events.message().await?.ok_or_else(broke_off)?;
        Ok(JobEvent {
            id: event.event_id,
            time: system_time(event.time),
            job: event
                .job
                .ok_or_else(|| Error::malformed("an event without its job"))?
                .into(),
        })
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
        }
    }
}

impl From<proto::Progress> for Progress {
    fn from(progress: proto::Progress) -> Self {
        let eta = progress
            .eta_seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self {
            phase: progress.phase,
            unit: progress.unit,
            done: progress.done,
            total: progress.total,
            rate: progress.rate,
            eta,
        }
    }
}
