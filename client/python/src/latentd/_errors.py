"""Errors of the server as exceptions that carry the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with a request."""

    field: str
    description: str


class LatentdError(Exception):
    """An error of the server.

    `reason` is one of the reasons in `proto/errors/`, such as `UNKNOWN_SAE`; empty if the server was not reached.
    """

    def __init__(self, code: grpc.StatusCode, message: str, details: list[Any] | None = None) -> None:
        self.code = code
        self.message = message
        self.reason = ""
        self.metadata: dict[str, str] = {}
        self.violations: tuple[Violation, ...] = ()
        self.retry_after: float | None = None
        for detail in details or []:
            self._read(detail)
        super().__init__(str(self))

    def _read(self, detail: any_pb2.Any) -> None:
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason = info.reason
            self.metadata = dict(info.metadata)
        elif detail.Unpack(bad):
            self.violations = tuple(Violation(v.field, v.description) for v in bad.field_violations)
        elif detail.Unpack(retry):
            self.retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9

    def __reduce__(self) -> tuple[Any, ...]:
        # What an exception does by itself gives its class one argument only.
        return type(self), (self.code, self.message), vars(self).copy()

    def __str__(self) -> str:
        head = f"{self.reason or self.code.name}: {self.message}"
        return "\n".join([head, *(f"  {v.field}: {v.description}" for v in self.violations)])


class InvalidRequestError(LatentdError):
    """The request is malformed or over a limit; `violations` lists what is wrong with it."""


class NotFoundError(LatentdError):
    """There is no such model, SAE, latent, cache, job, explanation, score or provider."""


class ConflictError(LatentdError):
    """The id is taken."""


class PreconditionError(LatentdError):
    """The call does not fit the present state, such as examples of a cache that is still being built."""


class ResourceExhaustedError(LatentdError):
    """The server has no room now; `retry_after` says when to try again, in seconds, if it can be told."""


class UnavailableError(LatentdError):
    """The server, its device or its database does not answer."""


class TimedOutError(LatentdError):
    """The answer was not ready within the timeout."""


class CancelledError(LatentdError):
    """The call was cancelled."""


class JobPausedError(LatentdError):
    """The job that was waited for paused by itself, as its budget is spent or a provider refuses every call.

    `resume_job` lets it go on, with a larger budget or once the provider is mended.
    """


class InternalError(LatentdError):
    """A defect of the server."""


_CLASSES: dict[grpc.StatusCode, type[LatentdError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionError,
    grpc.StatusCode.ABORTED: PreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOutError,
    grpc.StatusCode.CANCELLED: CancelledError,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.DATA_LOSS: InternalError,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def from_status(status: status_pb2.Status) -> LatentdError:
    """The exception for a `google.rpc.Status`."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return _CLASSES.get(code, LatentdError)(code, status.message, list(status.details))


def from_rpc_error(error: grpc.RpcError) -> LatentdError:
    """The exception for what grpc raised."""
    code: grpc.StatusCode = error.code()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return from_status(status_pb2.Status.FromString(value))
    return _CLASSES.get(code, LatentdError)(code, error.details() or "")


def job_paused(name: str, pause_reason: str, progress: str) -> JobPausedError:
    """The exception for a job that does not go on by itself."""
    known = {"budget": "its budget is spent", "provider": "a provider refuses its key or does not know its model"}
    message = f"{name} is paused, as {known.get(pause_reason, pause_reason)}: {progress}"
    return JobPausedError(grpc.StatusCode.FAILED_PRECONDITION, message)


def pause_before_retry(error: LatentdError, attempt: int) -> float | None:
    """Seconds to wait before the call is tried again; None if it must not be."""
    if error.reason == "SHUTTING_DOWN" or not isinstance(error, UnavailableError | ResourceExhaustedError):
        return None
    if isinstance(error, ResourceExhaustedError) and error.reason != "QUEUE_FULL":
        return None
    return min(error.retry_after or 0.1 * 2.0**attempt, 5.0)
