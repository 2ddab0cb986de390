"""Calls about jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _requests as r
from .. import _types as t
from ..v1 import job_pb2, job_pb2_grpc
from .call import Call, Pages, enum


def get_job(name: str | t.Job) -> Call[t.Job]:
    """GetJob."""
    return Call(job_pb2_grpc.JobServiceStub, "GetJob", job_pb2.GetJobRequest(name=t.name_of(name)), t.Job._from_pb)


def list_jobs(states: Sequence[str], kind: str) -> Pages[t.Job]:
    """ListJobs."""
    wanted = [enum(job_pb2.JobState, state, "JOB_STATE") for state in states]
    return Pages(
        job_pb2_grpc.JobServiceStub,
        "ListJobs",
        lambda token: job_pb2.ListJobsRequest(page_token=token, states=wanted, kind=kind),
        lambda reply: map(t.Job._from_pb, reply.jobs),
    )


def cancel_job(name: str | t.Job) -> Call[t.Job]:
    """CancelJob."""
    stub = job_pb2_grpc.JobServiceStub
    return Call(stub, "CancelJob", job_pb2.CancelJobRequest(name=t.name_of(name)), t.Job._from_pb, retry=False)


def pause_job(name: str | t.Job) -> Call[t.Job]:
    """PauseJob."""
    stub = job_pb2_grpc.JobServiceStub
    return Call(stub, "PauseJob", job_pb2.PauseJobRequest(name=t.name_of(name)), t.Job._from_pb, retry=False)


def resume_job(name: str | t.Job, budget: r.Budget | None) -> Call[t.Job]:
    """ResumeJob."""
    more = budget or r.Budget()
    request = job_pb2.ResumeJobRequest(
        name=t.name_of(name), budget_calls=more.calls, budget_tokens=more.tokens, budget_dollars=more.dollars
    )
    return Call(job_pb2_grpc.JobServiceStub, "ResumeJob", request, t.Job._from_pb, retry=False)


def watch_job(name: str | t.Job, after_event_id: int) -> Any:
    """The request of WatchJob."""
    return job_pb2.WatchJobRequest(name=t.name_of(name), after_event_id=after_event_id)
