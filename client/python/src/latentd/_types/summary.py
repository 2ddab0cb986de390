"""What a job that explains and scores has found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import _html as html
from .._extras import frame
from ..v1 import explanation_pb2
from .job import Spent
from .reason import ExampleReason, ItemReason, Reduced
from .record import Record, count, optional


@dataclass(frozen=True, eq=False, repr=False)
class ScorerSummary(Record):
    """What one scorer of a job has found. The counts and F1 mean something only with detection and fuzzing.

    A measure that is not defined, such as a mean over nothing, is None.
    """

    scorer: str
    latents: int
    mean: float | None
    median: float | None
    n: int
    n_failed: int
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    f1: float | None
    frequency_weighted_f1: float | None
    balanced_accuracy: float | None
    reasons: tuple[ExampleReason, ...] = ()
    """Why examples could not be scored, those with the most examples first."""

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.ScorerSummary) -> ScorerSummary:
        return cls(**_fields(cls, pb), reasons=tuple(map(ExampleReason._from_pb, pb.reasons)))


@dataclass(frozen=True, eq=False, repr=False)
class ExplainerSummary(Record):
    """What one scorer gave the explanations of one explainer, of latents that the job has scored."""

    scorer: str
    explainer: str
    own: bool
    """The explanations are the job's own."""
    latents: int
    """Latents with a score; 0 for a baseline that was not scored."""
    mean: float | None
    median: float | None
    n: int
    n_failed: int

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.ExplainerSummary) -> ExplainerSummary:
        return cls(**_fields(cls, pb))


def _fields(of: Any, pb: Any) -> dict[str, Any]:
    """The plain fields of a dataclass from those of a message; None where one that may be absent is."""
    known = pb.DESCRIPTOR.fields_by_name
    names = [name for name in of.__dataclass_fields__ if name != "reasons"]
    return {name: optional(pb, name) if known[name].has_presence else getattr(pb, name) for name in names}


@dataclass(frozen=True, eq=False, repr=False)
class JobSummary(Record):
    """What a job that explains and scores has found so far; the latents that were left out are dead or skipped."""

    job: str
    latents: int
    explained: int
    dead: int
    skipped: int
    failed: int
    scorers: tuple[ScorerSummary, ...]
    spent: Spent
    explainers: tuple[ExplainerSummary, ...] = ()
    """Explainers side by side: the job's own, then the baselines `top_tokens` and `random_baseline`, then others."""
    reasons: tuple[ItemReason, ...] = ()
    """Why items failed or were left out, those with the most items first."""
    cache: str = ""
    """`caches/{cache}` that it reads."""
    reduced: Reduced | None = None
    """Latents that had fewer examples than the plan asks for, and were explained or scored with fewer."""

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.JobSummary) -> JobSummary:
        counts = {name: getattr(pb, name) for name in ("job", "latents", "explained", "dead", "skipped", "failed")}
        scorers = tuple(ScorerSummary._from_pb(scorer) for scorer in pb.scorers)
        return cls(
            **counts,
            scorers=scorers,
            spent=Spent._from_pb(pb.spent),
            explainers=tuple(ExplainerSummary._from_pb(explainer) for explainer in pb.explainers),
            reasons=tuple(map(ItemReason._from_pb, pb.reasons)),
            cache=pb.cache,
            reduced=Reduced._from_pb(pb.reduced) if pb.HasField("reduced") else None,
        )

    def __repr__(self) -> str:
        scores = "".join(f", {s.scorer} {html.number(s.mean)}" for s in self.scorers)
        return f"<JobSummary of {self.job}: {self.explained} of {count(self.latents, 'latent')} explained{scores}>"

    def __len__(self) -> int:
        """Number of scorers."""
        return len(self.scorers)

    def __iter__(self) -> Iterator[ScorerSummary]:
        return iter(self.scorers)

    def __getitem__(self, scorer: int | str) -> ScorerSummary:
        """What one scorer has found, by its place or its name."""
        if isinstance(scorer, int):
            return self.scorers[scorer]
        found = next((s for s in self.scorers if s.scorer == scorer), None)
        if found is None:
            raise KeyError(f"{scorer!r} is none of {', '.join(s.scorer for s in self.scorers) or 'no scorers'}")
        return found

    def _repr_html_(self) -> str:
        counts = [(name, getattr(self, name)) for name in ("explained", "dead", "skipped", "failed")]
        told = ", ".join(f"{number} {name}" for name, number in counts if number or name == "explained")
        head = ("scorer", "latents", "mean", "median", "examples", "failed")
        rows = [(s.scorer, s.latents, s.mean, s.median, s.n, s.n_failed) for s in self.scorers]
        side = ("scorer", "explainer", "latents", "mean", "median")
        beside = [(s.scorer, s.explainer, s.latents, s.mean, s.median) for s in self.explainers]
        tables = [html.table(head, rows), *([html.table(side, beside)] if beside else [])]
        notes = [f"{told} of {count(self.latents, 'latent')}; {self.spent}", *map(str, self.reasons)]
        notes += [] if self.reduced is None else [str(self.reduced)]
        return html.page(html.title(self.job, self.cache), *tables, *map(html.note, notes))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each scorer."""
        names = [name for name in ScorerSummary.__dataclass_fields__ if name != "reasons"]
        return frame({name: [getattr(scorer, name) for scorer in self.scorers] for name in names})
