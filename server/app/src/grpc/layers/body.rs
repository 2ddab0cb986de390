//! The body of a reply, watched to its end: streams keep their deadline, a panic becomes a status, the outcome is logged.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::{Code, Status, body::Body};
use tracing::Span;

use super::{access_log::AccessLog, complete, expired, panicked, reply_room::ReplyRoom};
use crate::buffers::Share;

/// A reply's body under guard.
#[derive(Debug)]
pub(super) struct GuardedBody {
    inner: Body,
    deadline: Option<Pin<Box<Sleep>>>,
    log: AccessLog,
    span: Span,
    room: ReplyRoom,
    ended: bool,
}

impl GuardedBody {
    pub(super) fn new(
        inner: Body,
        deadline: Option<Instant>,
        log: AccessLog,
        span: Span,
        replies: Share,
    ) -> Self {
        // A body that has ended already (an error in the headers) needs no timer.
        let timer = deadline.filter(|_| !inner.is_end_stream());
        let deadline = timer.map(|at| Box::pin(tokio::time::sleep_until(at.into())));
        Self {
            inner,
            deadline,
            log,
            span,
            room: ReplyRoom::of(replies),
            ended: false,
        }
    }

    /// Ends the stream with `status` in the trailers.
    fn cut(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.ended = true;
        self.log.end(status.code());
        let mut trailers = HeaderMap::new();
        match status.add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(status) => Poll::Ready(Some(Err(status))),
        }
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let span = this.span.clone();
        let _entered = span.enter();
        let polled = if this.room.is_waiting() {
            Poll::Pending
        } else {
            let inner = Pin::new(&mut this.inner);
            let polled = std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx)));
            match polled {
                Ok(polled) => polled,
                Err(panic) => return this.cut(&panicked(panic.as_ref())),
            }
        };
        let mut polled = match this.room.pass(polled, cx) {
            Ok(polled) => polled,
            Err(error) => return this.cut(&error.into()),
        };
        match &mut polled {
            Poll::Pending => {
                let passed = this
                    .deadline
                    .as_mut()
                    .is_some_and(|at| at.as_mut().poll(cx).is_ready());
                if passed {
                    return this.cut(&expired());
                }
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    complete(trailers);
                    let code =
                        Status::from_header_map(trailers).map_or(Code::Ok, |status| status.code());
                    this.log.end(code);
                }
            }
            Poll::Ready(Some(Err(status))) => this.log.end(status.code()),
            Poll::Ready(None) => this.log.end(Code::Ok),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (!self.room.is_waiting() && self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
