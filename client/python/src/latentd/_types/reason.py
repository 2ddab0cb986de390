"""Why parts of a job gave no result, and what was reduced."""

from __future__ import annotations

from dataclasses import dataclass

from ..v1 import explanation_pb2, job_pb2
from .record import Record, count


@dataclass(frozen=True, eq=False, repr=False)
class ItemReason(Record):
    """Items of a job that ended alike without a result: they failed, or else there was nothing to do for them."""

    reason: str
    """Error reason, such as `TOO_FEW_EXAMPLES`."""
    failed: bool
    items: int
    detail: str
    """What exactly became of the first of them."""
    latents: tuple[int, ...]
    """Some of their latents, lowest first."""

    @classmethod
    def _from_pb(cls, pb: job_pb2.ItemReason) -> ItemReason:
        return cls(pb.reason, pb.failed, pb.items, pb.detail, tuple(pb.latents))

    def __str__(self) -> str:
        """How many, why, and some of the latents, on one line."""
        what = "failed" if self.failed else "left out"
        return f"{count(self.items, 'item')} {what}: {self.reason}{_detail(self.detail, self.latents)}"


@dataclass(frozen=True, eq=False, repr=False)
class ExampleReason(Record):
    """Examples of one scorer that could not be scored for the same reason."""

    reason: str
    """Error reason, such as `ANSWER_NOT_PARSED`."""
    examples: int
    detail: str
    """What exactly became of one of them."""
    latents: tuple[int, ...]
    """Some of their latents, lowest first."""

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.ExampleReason) -> ExampleReason:
        return cls(pb.reason, pb.examples, pb.detail, tuple(pb.latents))

    def __str__(self) -> str:
        """How many, why, and some of the latents, on one line."""
        return f"{count(self.examples, 'example')} failed: {self.reason}{_detail(self.detail, self.latents)}"


@dataclass(frozen=True, eq=False, repr=False)
class Reduced(Record):
    """Latents that were shown with fewer examples than their job asks for, because the cache has no more."""

    latents: int
    n_train: int
    """Fewest examples that an explainer was shown of one of them."""
    n_train_asked: int
    n_test: int
    """Fewest examples on which the latent fires that a scorer was shown of one of them."""
    n_test_asked: int
    """0 where nobody scores."""
    examples: tuple[int, ...]
    """Some of these latents, lowest first."""

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.Reduced) -> Reduced:
        return cls(pb.latents, pb.n_train, pb.n_train_asked, pb.n_test, pb.n_test_asked, tuple(pb.examples))

    def __str__(self) -> str:
        """How many latents, and the fewest examples, on one line."""
        shown = [(self.n_train, self.n_train_asked, "the explainer"), (self.n_test, self.n_test_asked, "scorers")]
        fewer = " and ".join(f"down to {n} of {asked} for {whom}" for n, asked, whom in shown if n < asked)
        return f"{count(self.latents, 'latent')} had fewer examples than asked for, {fewer}"


def _detail(detail: str, latents: tuple[int, ...]) -> str:
    such = f" (latents such as {', '.join(map(str, latents))})" if latents else ""
    return f"{': ' if detail else ''}{detail}{such}"
