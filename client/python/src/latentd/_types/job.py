"""Long work, how far it is and what it cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import _errors
from .. import _html as html
from ..v1 import job_pb2
from .reason import ItemReason
from .record import Record, cut, time_of


@dataclass(frozen=True, eq=False, repr=False)
class Spent(Record):
    """What a job cost. `reused` exchanges were taken from the store instead of calling a provider again."""

    calls: int
    reused: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float

    @classmethod
    def _from_pb(cls, pb: job_pb2.Spent) -> Spent:
        return cls(pb.calls, pb.reused, pb.prompt_tokens, pb.completion_tokens, pb.dollars)

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens

    def __repr__(self) -> str:
        return f"<Spent {self}>"

    def __str__(self) -> str:
        """Calls, tokens and, where there are prices, dollars."""
        reused = f" ({self.reused} reused)" if self.reused else ""
        dollars = f", ${self.dollars:.4f}" if self.dollars else ""
        return f"{self.calls} calls{reused}, {self.tokens} tokens{dollars}"


@dataclass(frozen=True, eq=False, repr=False)
class Progress(Record):
    """How far a job is. `eta_seconds` is None while it cannot be told.

    `unit` is `tokens`, or `items` of a job that explains and scores: an item is the explanation of one latent, or one
    scorer's work on it. Only such a job has `spent`.
    """

    phase: str
    unit: str
    done: int
    total: int
    rate: float
    eta_seconds: float | None
    failed: int
    skipped: int
    spent: Spent | None
    reasons: tuple[ItemReason, ...] = ()
    """Why items failed or were left out, those with the most items first."""
    warnings: tuple[str, ...] = ()
    """What is not as the caller may think, in words."""

    @classmethod
    def _from_pb(cls, pb: job_pb2.Progress) -> Progress:
        return cls(
            pb.phase,
            pb.unit,
            pb.done,
            pb.total,
            pb.rate,
            pb.eta_seconds if pb.HasField("eta_seconds") else None,
            pb.failed,
            pb.skipped,
            Spent._from_pb(pb.spent) if pb.HasField("spent") else None,
            tuple(map(ItemReason._from_pb, pb.reasons)),
            tuple(pb.warnings),
        )

    def __repr__(self) -> str:
        return f"<Progress {self}>"

    def __str__(self) -> str:
        """What is done, what is left and what it cost, on one line."""
        parts = [f"{self.done} of {self.total} {self.unit}" if self.total else f"{self.done} {self.unit}"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.skipped} left out"] if self.skipped else []
        parts += [f"{self.eta_seconds:.0f} s to go"] if self.eta_seconds else []
        parts += [str(self.spent)] if self.spent is not None else []
        return ", ".join(parts)


@dataclass(frozen=True, eq=False, repr=False)
class Job(Record):
    """A piece of long work. `state` is `queued`, `running`, `paused`, `succeeded`, `failed` or `cancelled`.

    While it is paused, `pause_reason` is `requested`, `budget`, or `provider` where every call would fail.
    """

    name: str
    kind: str
    state: str
    result: str
    progress: Progress
    error: _errors.LatentdError | None
    create_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    attempts: int
    spec: dict[str, Any]
    pause_reason: str
    cache: str = ""
    """`caches/{cache}` that it reads; only of jobs that explain and score."""
    in_part: bool = False
    """It succeeded in part: some of its items failed and have no result. `progress.reasons` says why."""

    @classmethod
    def _from_pb(cls, pb: job_pb2.Job) -> Job:
        return cls(
            name=pb.name,
            kind=pb.kind,
            state=job_pb2.JobState.Name(pb.state).removeprefix("JOB_STATE_").lower(),
            result=pb.result,
            progress=Progress._from_pb(pb.progress),
            error=_errors.from_status(pb.error) if pb.HasField("error") else None,
            create_time=time_of(pb.create_time),
            start_time=time_of(pb.start_time),
            end_time=time_of(pb.end_time),
            attempts=pb.attempts,
            spec=json.loads(pb.spec_json) if pb.spec_json else {},
            pause_reason=pb.pause_reason,
            cache=pb.cache,
            in_part=pb.in_part,
        )

    def __repr__(self) -> str:
        return f"<Job {self}>"

    def __str__(self) -> str:
        """The name, the state and how far it is, on one line."""
        paused = f" ({self.pause_reason})" if self.pause_reason else " in part" if self.in_part else ""
        failed = f": {cut(self.error.message, 200)}" if self.error is not None else ""
        result = f", {self.result}" if self.result else ""
        return f"{self.name} {self.kind} {self.state}{paused}: {self.progress}{result}{failed}"

    def _repr_html_(self) -> str:
        done = self.progress.done / self.progress.total if self.progress.total else float(self.state == "succeeded")
        state = f"{self.state} in part" if self.in_part else self.state
        title = html.title(self.name, f"{self.kind}, {state}")
        parts = [title, html.bar(done), html.note(str(self.progress))]
        parts += [html.note(f"result: {self.result}")] if self.result else []
        parts += [html.note(str(reason)) for reason in self.progress.reasons]
        parts += [html.note(str(self.error))] if self.error is not None else []
        return html.page(*parts)

    @property
    def ended(self) -> bool:
        """Whether the job is in a state that it does not leave."""
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def paused_itself(self) -> bool:
        """Whether its budget is spent or a provider refuses every call; it goes on only if somebody resumes it."""
        return self.state == "paused" and self.pause_reason != "requested"


def name_of(job: str | Job) -> str:
    """The name of a job, which may be given as the job or as its name."""
    return job if isinstance(job, str) else job.name
