//! A server for the tests of this crate: it fails in the ways that a client has to live with, then answers.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use latentd_proto::v1::{
    self as proto,
    job_service_server::{JobService, JobServiceServer},
    model_service_server::{ModelService, ModelServiceServer},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{Budget, Client, JobFilter, JobState, Options, RetryPolicy};

/// What was asked of the fake.
#[derive(Default)]
struct Calls {
    models: AtomicU32,
    unloads: AtomicU32,
    watches: Mutex<Vec<u64>>,
}

#[derive(Clone)]
struct Fake(Arc<Calls>);

/// A client of a new fake, with short waits.
async fn client() -> (Client, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let fake = Fake(Arc::clone(&calls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tonic::transport::Server::builder()
        .add_service(JobServiceServer::new(fake.clone()))
        .add_service(ModelServiceServer::new(fake))
        .serve_with_incoming(TcpListenerStream::new(listener));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(server);
    let retry = RetryPolicy {
        attempts: 4,
        first_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
    };
    let options = Options {
        retry,
        ..Options::default()
    };
    (
        Client::connect_with(&address, options).await.unwrap(),
        calls,
    )
}

fn job(state: proto::JobState) -> proto::Job {
    proto::Job {
        name: "jobs/j".into(),
        state: state.into(),
        ..Default::default()
    }
}

/// A job whose budget is spent.
fn broke() -> proto::Job {
    proto::Job {
        pause_reason: "budget".into(),
        ..job(proto::JobState::Paused)
    }
}

fn refused(code: Code, reason: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "latentd", HashMap::new());
    details.set_retry_info(Some(Duration::from_millis(2)));
    Status::with_error_details(code, "not now", details)
}

#[tonic::async_trait]
impl JobService for Fake {
    /// One job's budget is spent; there is no other.
    async fn get_job(
        &self,
        request: Request<proto::GetJobRequest>,
    ) -> Result<Response<proto::Job>, Status> {
        match request.into_inner().name.as_str() {
            "broke" => Ok(Response::new(broke())),
            _ => Err(refused(Code::NotFound, "UNKNOWN_JOB")),
        }
    }

    async fn pause_job(
        &self,
        _: Request<proto::PauseJobRequest>,
    ) -> Result<Response<proto::Job>, Status> {
        Err(refused(Code::FailedPrecondition, "JOB_NOT_PAUSABLE"))
    }

    /// Goes on with whatever budget it is given.
    async fn resume_job(
        &self,
        request: Request<proto::ResumeJobRequest>,
    ) -> Result<Response<proto::Job>, Status> {
        let spec_json = format!("{:?}", request.into_inner());
        Ok(Response::new(proto::Job {
            spec_json,
            ..job(proto::JobState::Running)
        }))
    }

    /// Three pages of one job each.
    async fn list_jobs(
        &self,
        request: Request<proto::ListJobsRequest>,
    ) -> Result<Response<proto::ListJobsResponse>, Status> {
        let next = match request.into_inner().page_token.as_str() {
            "" => "2",
            "2" => "3",
            _ => "",
        };
        let jobs = vec![job(proto::JobState::Running)];
        Ok(Response::new(proto::ListJobsResponse {
            jobs,
            next_page_token: next.into(),
        }))
    }

    async fn cancel_job(
        &self,
        _: Request<proto::CancelJobRequest>,
    ) -> Result<Response<proto::Job>, Status> {
        Err(refused(Code::FailedPrecondition, "JOB_ENDED"))
    }

    type WatchJobStream = Pin<Box<dyn Stream<Item = Result<proto::JobEvent, Status>> + Send>>;

    /// Two events a call, then the stream breaks: with an error after the first call, without one after the second.
    async fn watch_job(
        &self,
        request: Request<proto::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let request = request.into_inner();
        if request.name == "broke" {
            let event = proto::JobEvent {
                event_id: 1,
                time: None,
                job: Some(broke()),
            };
            let events = futures::stream::iter([Ok(event)]);
            return Ok(Response::new(
                events.chain(futures::stream::pending()).boxed(),
            ));
        }
        let after = request.after_event_id;
        let attempt = {
            let mut watches = self.0.watches.lock().unwrap();
            watches.push(after);
            watches.len()
        };
        if attempt == 2 {
            return Err(refused(Code::Unavailable, "DATABASE_UNAVAILABLE"));
        }
        let event = |event_id| {
            let ended = event_id == 5;
            let state = if ended {
                proto::JobState::Succeeded
            } else {
                proto::JobState::Running
            };
            Ok(proto::JobEvent {
                event_id,
                time: None,
                job: Some(job(state)),
            })
        };
        let events = (after + 1..=after + 2).map(event).collect::<Vec<_>>();
        let breaks = (attempt == 1).then(|| Err(Status::unavailable("going down")));
        Ok(Response::new(
            futures::stream::iter(events.into_iter().chain(breaks)).boxed(),
        ))
    }
}

#[tonic::async_trait]
impl ModelService for Fake {
    async fn list_models(
        &self,
        _: Request<proto::ListModelsRequest>,
    ) -> Result<Response<proto::ListModelsResponse>, Status> {
        Err(refused(Code::Unavailable, "ENGINE_UNAVAILABLE"))
    }

    /// The queue is full, then the server goes away, then it answers.
    async fn get_model(
        &self,
        request: Request<proto::GetModelRequest>,
    ) -> Result<Response<proto::Model>, Status> {
        match self.0.models.fetch_add(1, Ordering::Relaxed) {
            0 => Err(refused(Code::ResourceExhausted, "QUEUE_FULL")),
            1 => Err(refused(Code::Unavailable, "SHUTTING_DOWN")),
            _ => Ok(Response::new(proto::Model {
                name: request.into_inner().name,
                ..Default::default()
            })),
        }
    }

    async fn load_model(
        &self,
        _: Request<proto::LoadModelRequest>,
    ) -> Result<Response<proto::Model>, Status> {
        Err(refused(Code::FailedPrecondition, "MALFORMED_GGUF"))
    }

    async fn unload_model(
        &self,
        _: Request<proto::UnloadModelRequest>,
    ) -> Result<Response<proto::UnloadModelResponse>, Status> {
        self.0.unloads.fetch_add(1, Ordering::Relaxed);
        Err(Status::unavailable("was it done or not?"))
    }

    async fn tokenize(
        &self,
        _: Request<proto::TokenizeRequest>,
    ) -> Result<Response<proto::TokenizeResponse>, Status> {
        Err(refused(Code::ResourceExhausted, "QUEUE_FULL"))
    }
}

#[tokio::test]
async fn a_call_is_made_again_until_it_is_answered() {
    let (client, calls) = client().await;
    assert_eq!(client.model("m").await.unwrap().name, "m");
    assert_eq!(calls.models.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_queue_that_stays_full_is_an_error_in_the_end() {
    let (client, _) = client().await;
    let error = client.tokenize("m", ["a"], None).await.unwrap_err();
    assert_eq!(error.reason, "QUEUE_FULL");
    assert_eq!(error.retry_after, Some(Duration::from_millis(2)));
}

#[tokio::test]
async fn what_might_have_been_done_is_not_done_again() {
    let (client, calls) = client().await;
    assert!(
        client
            .unload_model("m", false)
            .await
            .unwrap_err()
            .is_connection()
    );
    assert_eq!(calls.unloads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_watch_goes_on_after_the_last_event() {
    let (client, calls) = client().await;
    let events: Vec<_> = client.watch_job("j", 0).try_collect().await.unwrap();
    let ids: Vec<u64> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    assert_eq!(events[4].job.state, JobState::Succeeded);
    assert_eq!(*calls.watches.lock().unwrap(), [0, 2, 2, 4]);
}

#[tokio::test]
async fn a_wait_ends_when_the_budget_is_spent() {
    let (client, _) = client().await;
    let job = client.wait_job("broke").await.unwrap();
    assert!(job.paused_itself() && !job.state.has_ended());
    let budget = Budget {
        dollars: 2.5,
        ..Budget::default()
    };
    let job = client.resume_job("broke", budget).await.unwrap();
    assert_eq!(job.state, JobState::Running);
    assert!(job.spec_json.contains("budget_dollars: 2.5"));
    let error = client.pause_job("broke").await.unwrap_err();
    assert_eq!(error.reason, "JOB_NOT_PAUSABLE");
}

#[tokio::test]
async fn lists_run_over_their_pages() {
    let (client, _) = client().await;
    assert_eq!(
        client.jobs(JobFilter::new()).to_vec().await.unwrap().len(),
        3
    );
    let error = client.models().to_vec().await.unwrap_err();
    assert_eq!(error.reason, "ENGINE_UNAVAILABLE");
}
