//! WatchJob: the events of a job, whatever happens to the connection.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::SystemTime,
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use latentd_proto::v1 as proto;
use serde::Serialize;
use tokio::time::Instant;
use tonic::{Code, Streaming};

use super::Job;
use crate::{Client, Error, Result, client::stub, time::system_time};

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

impl Client {
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

    /// Waits until a job ends, however it ends, or until it pauses by itself ([`Job::paused_itself`]).
    pub async fn wait_job(&self, name: &str) -> Result<Job> {
        let mut events = self.watch_job(name, 0);
        let mut last = None;
        while let Some(event) = events.next().await {
            let job = event?.job;
            // The event may be an old one, of a job that was resumed since.
            if job.paused_itself() {
                let job = self.job(name).await?;
                if job.paused_itself() {
                    return Ok(job);
                }
            }
            last = Some(job);
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
