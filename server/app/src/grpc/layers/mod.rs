//! What surrounds every call: request id, span, access log, deadline, shutdown, panics.
//!
//! One tower layer rather than one for each concern: they share the start of the call, its id, and the wrapped body at whose
//! end the outcome of a stream is known.

mod access_log;
mod body;
mod context;
mod reply_room;
mod request_body;

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use futures::FutureExt;
use http::{HeaderValue, Request, Response};
use latentd_domain::Reason;
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;

#[cfg(test)]
pub(crate) use access_log::name;
pub(crate) use context::Context;
pub(crate) use request_body::MessageLimits;

use self::{
    access_log::AccessLog,
    body::GuardedBody,
    context::REQUEST_ID,
    request_body::{Held, RequestBody},
};
use super::error::Error;
use crate::{
    buffers::{Buffers, Share},
    lifecycle::Lifecycle,
};

/// Wraps the whole router in [`Edge`].
#[derive(Clone, Debug)]
pub(crate) struct EdgeLayer {
    /// Life of the server: calls that come after its end was asked for are refused.
    pub(crate) life: Lifecycle,
    /// Memory for messages.
    pub(crate) buffers: Buffers,
    /// What a message of a request may take.
    pub(crate) messages: MessageLimits,
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge {
            inner,
            life: self.life.clone(),
            replies: self.buffers.replies.clone(),
            messages: self.messages.clone(),
        }
    }
}

/// The outermost service.
#[derive(Clone, Debug)]
pub(crate) struct Edge<S> {
    inner: S,
    life: Lifecycle,
    replies: Share,
    messages: MessageLimits,
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let context = Context::of(request.headers(), Instant::now());
        let log = AccessLog::start(request.uri().path(), &context);
        let span = log.span();
        request.extensions_mut().insert(context.clone());
        let held = Held::default();
        let replies = self.replies.clone();
        let call = if self.life.is_draining() && !is_health(request.uri().path()) {
            None
        } else {
            let (messages, held) = (self.messages.clone(), Arc::clone(&held));
            let request = request.map(|body| Body::new(RequestBody::new(body, messages, held)));
            Some(self.inner.call(request))
        };
        let outer = span.clone();
        let answer = async move {
            let response = match call {
                None => refused().into_http(),
                Some(call) => {
                    match within(context.deadline, AssertUnwindSafe(call).catch_unwind()).await {
                        None => expired().into_http(),
                        Some(Err(panic)) => panicked(panic.as_ref()).into_http(),
                        Some(Ok(response)) => response?,
                    }
                }
            };
            // A request that was received as a whole is of no more use.
            drop(held);
            Ok(finish(response, &context, log, outer, replies))
        };
        Box::pin(answer.instrument(span))
    }
}

/// Health is answered to the end: it is how others learn that the server drains.
fn is_health(path: &str) -> bool {
    path.starts_with("/grpc.health.")
}

fn refused() -> Status {
    Error::new(Reason::ShuttingDown, "the server is shutting down").into()
}

fn expired() -> Status {
    Error::new(
        Reason::DeadlineExceeded,
        "the deadline passed before the answer was ready",
    )
    .into()
}

fn panicked(panic: &(dyn Any + Send)) -> Status {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned());
    Error::internal(format!("a handler panicked: {text}")).into()
}

/// The future's output, or `None` if the deadline comes first.
async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        None => Some(future.await),
        Some(deadline) => tokio::time::timeout_at(deadline.into(), future).await.ok(),
    }
}

/// Sends the request id back, and wraps the body so that its end is seen.
fn finish(
    response: Response<Body>,
    context: &Context,
    mut log: AccessLog,
    span: tracing::Span,
    replies: Share,
) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Ok(id) = HeaderValue::from_str(&context.id) {
        head.headers.insert(REQUEST_ID, id);
    }
    complete(&mut head.headers);
    if let Some(status) = Status::from_header_map(&head.headers) {
        log.end(status.code());
    }
    let body = GuardedBody::new(body, context.deadline, log, span, replies);
    Response::from_parts(head, Body::new(body))
}

/// Gives a reason to failures that tonic found itself: a message over the size limit, or one that is not protobuf.
fn complete(headers: &mut http::HeaderMap) {
    let Some(status) = Status::from_header_map(headers) else {
        return;
    };
    if !status.details().is_empty() {
        return;
    }
    let error = match status.code() {
        // ResourceExhausted: it was too large once it was decompressed.
        tonic::Code::OutOfRange | tonic::Code::ResourceExhausted => {
            Error::new(Reason::BatchTooLarge, status.message())
        }
        tonic::Code::Internal => Error::new(Reason::InvalidRequest, status.message()),
        _ => return,
    };
    headers.remove(Status::GRPC_STATUS);
    headers.remove(Status::GRPC_MESSAGE);
    let _ = Status::from(error).add_header(headers);
}

/// Slack before the client's own deadline, so that its reason reaches the client, and comes before tonic's own timeout,
/// which would say Cancelled.
const SLACK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic_types::StatusExt;
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn call<F>(
        life: Lifecycle,
        timeout: Option<&str>,
        answer: F,
    ) -> (Option<Status>, http::HeaderMap)
    where
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let mut answer = Some(answer);
        let inner = service_fn(move |_: Request<Body>| answer.take().unwrap());
        let mut request = Request::builder().uri("/latentd.v1.ServerService/GetServerInfo");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let request = request
            .header("x-request-id", "r-1")
            .body(Body::empty())
            .unwrap();
        let buffers = Buffers::new(1 << 20);
        let messages = MessageLimits {
            share: buffers.requests.clone(),
            max_bytes: 1 << 20,
            seconds: 5,
        };
        let layer = EdgeLayer {
            life,
            buffers,
            messages,
        };
        let response = layer.layer(inner).oneshot(request).await.unwrap();
        let headers = response.headers().clone();
        (Status::from_header_map(&headers), headers)
    }

    fn reason(status: Option<Status>) -> (tonic::Code, String) {
        let status = status.unwrap();
        (
            status.code(),
            status.get_details_error_info().unwrap().reason,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_deadline_exceeded() {
        let (status, _) = call(Lifecycle::default(), Some("50m"), std::future::pending()).await;
        assert_eq!(
            reason(status),
            (
                tonic::Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED".to_owned()
            )
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let (status, headers) =
            call(Lifecycle::default(), None, async { panic!("on purpose") }).await;
        assert_eq!(
            reason(status),
            (tonic::Code::Internal, "INTERNAL".to_owned())
        );
        assert_eq!(headers["x-request-id"], "r-1");
    }

    #[tokio::test]
    async fn a_draining_server_refuses() {
        let life = Lifecycle::default();
        life.drain();
        let (status, _) = call(life, None, async { Ok(Response::new(Body::empty())) }).await;
        assert_eq!(
            reason(status),
            (tonic::Code::Unavailable, "SHUTTING_DOWN".to_owned())
        );
    }

    #[tokio::test]
    async fn failures_of_the_transport_get_a_reason() {
        for found in [
            Status::out_of_range("message length too large"),
            Status::resource_exhausted("size limit exceeded while decompressing message"),
        ] {
            let answer = async { Ok(found.into_http()) };
            let (status, _) = call(Lifecycle::default(), None, answer).await;
            assert_eq!(
                reason(status),
                (tonic::Code::InvalidArgument, "BATCH_TOO_LARGE".to_owned())
            );
        }
    }

    #[tokio::test]
    async fn an_answer_passes() {
        let answer = async { Ok(Response::new(Body::empty())) };
        let (status, headers) = call(Lifecycle::default(), Some("1S"), answer).await;
        assert!(status.is_none());
        assert_eq!(headers["x-request-id"], "r-1");
    }
}
