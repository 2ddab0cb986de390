"""Calls about jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import grpc

from .. import _calls as calls
from .. import _errors
from .. import _requests as r
from .. import _types as t
from .._progress import shown
from ..v1 import job_pb2_grpc
from .connection import Connection


class JobCalls(Connection):
    """Long work."""

    def jobs(self, *, states: Sequence[str] = (), kind: str = "") -> Iterator[t.Job]:
        """Jobs, newest first."""
        return self._pages(calls.list_jobs(states, kind))

    def job(self, name: str | t.Job) -> t.Job:
        """One job."""
        return self._call(calls.get_job(name))

    def cancel_job(self, name: str | t.Job) -> t.Job:
        """Asks a job to stop."""
        return self._call(calls.cancel_job(name))

    def pause_job(self, name: str | t.Job) -> t.Job:
        """Asks a job that explains and scores to wait: what is under way is finished, nothing new begins."""
        return self._call(calls.pause_job(name))

    def resume_job(self, name: str | t.Job, *, budget: r.Budget | None = None) -> t.Job:
        """Lets a paused job go on. What `budget` sets is the new limit of all that it may spend, from its start."""
        return self._call(calls.resume_job(name, budget))

    def watch_job(self, name: str | t.Job) -> Iterator[t.Job]:
        """The job after each of its events until it ends. A lost connection is taken up after the last event seen."""
        seen, attempt = 0, 0
        while True:
            try:
                stub = job_pb2_grpc.JobServiceStub(self._channel)
                for event in stub.WatchJob(calls.watch_job(name, seen)):
                    seen, attempt = event.event_id, 0
                    job = t.Job._from_pb(event.job)
                    yield job
                    if job.ended:
                        return
            except grpc.RpcError as raised:
                error = _errors.from_rpc_error(raised)
                pause = _errors.pause_before_retry(error, attempt)
                if pause is None or attempt >= self._retries:
                    raise error from None
                attempt += 1
                time.sleep(pause)

    def wait(self, name: str | t.Job, *, progress: bool = False) -> t.Job:
        """Waits until a job ends; raises its error if it failed or was cancelled, or paused by itself.

        With `progress` a line of text says how far it is, in a terminal and in a notebook.
        """
        with shown(progress) as show:
            job = self.job(name)
            show(job)
            if not job.ended:
                for event in self.watch_job(name):
                    job = event
                    show(job)
                    # The event may be an old one, of a job that was resumed since.
                    if job.paused_itself and (now := self.job(name)).paused_itself:
                        raise _errors.job_paused(now.name, now.pause_reason, str(now.progress))
        if job.error is not None:
            raise job.error
        if job.state == "cancelled":
            raise _errors.CancelledError(grpc.StatusCode.CANCELLED, f"{job.name} was cancelled")
        return job
