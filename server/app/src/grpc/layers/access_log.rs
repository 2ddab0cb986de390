//! One line for each call, at the level that its outcome deserves.

use std::time::Instant;

use tonic::Code;
use tracing::Span;

use super::Context;

/// A call that is going on; writes its line when it ends, or when it is dropped because the client went away.
#[derive(Debug)]
pub(super) struct AccessLog {
    span: Span,
    start: Instant,
    ended: bool,
}

impl AccessLog {
    /// Opens the span of a call to `path`.
    pub(super) fn start(path: &str, context: &Context) -> Self {
        let span = tracing::info_span!("call", rpc = path.trim_start_matches('/'), request_id = %context.id);
        Self {
            span,
            start: Instant::now(),
            ended: false,
        }
    }

    /// The call's span.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Writes the line; only the first call does.
    pub(super) fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let _entered = self.span.enter();
        let duration_ms = self.start.elapsed().as_secs_f64() * 1e3;
        let grpc_status = name(code);
        match code {
            Code::Ok | Code::Cancelled => {
                tracing::debug!(grpc_status, duration_ms, "call ended");
            }
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated
            | Code::ResourceExhausted
            | Code::DeadlineExceeded => tracing::info!(grpc_status, duration_ms, "call refused"),
            Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss => {
                tracing::warn!(grpc_status, duration_ms, "call failed");
            }
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The name that the gRPC specification gives the code.
pub(crate) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
