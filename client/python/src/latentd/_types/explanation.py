"""What latents mean."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from .. import _html as html
from .. import _requests as r
from .._extras import frame
from ..v1 import explanation_pb2
from .record import Record, Results, count, cut, optional, time_of
from .score import Score


@dataclass(frozen=True, eq=False, repr=False)
class Provenance(Record):
    """Where an explanation comes from. What does not apply is empty."""

    job: str
    provider: str
    provider_model: str
    prompt_version: str
    sae_digest: str
    cache: str
    examples: tuple[str, ...]
    seed: int
    exchange: str
    author: str

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.Provenance) -> Provenance:
        plain = {name: getattr(pb, name) for name in cls.__dataclass_fields__ if name != "examples"}
        return cls(**plain, examples=tuple(pb.examples))


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Record):
    """What somebody or something says that a latent means. `scores` has the newest first."""

    name: str
    latent: int
    text: str
    explainer: str
    provenance: Provenance
    scores: tuple[Score, ...]
    create_time: datetime | None
    relevance: float | None
    """How good a hit of a search it is: a rank by words, or a cosine by meaning."""

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.Explanation) -> Explanation:
        return cls(
            name=pb.name,
            latent=pb.latent,
            text=pb.text,
            explainer=pb.explainer,
            provenance=Provenance._from_pb(pb.provenance),
            scores=tuple(Score._from_pb(score) for score in pb.scores),
            create_time=time_of(pb.create_time),
            relevance=optional(pb, "relevance"),
        )

    def score(self, scorer: r.ScorerKind) -> Score | None:
        """The newest score that `scorer` gave."""
        return next((score for score in self.scores if score.scorer == scorer), None)

    def __repr__(self) -> str:
        return f"<Explanation of latent {self.latent}: {cut(self.text)!r}>"

    def _repr_html_(self) -> str:
        rows = [
            (s.scorer, s.value, "" if s.interval is None else "{:.3f} to {:.3f}".format(*s.interval), s.n)
            for s in self.scores
        ]
        scores = [html.table(("scorer", "score", "95 % interval", "examples"), rows)] if rows else []
        return html.page(html.title(f"latent {self.latent}", self.explainer), html.note(self.text), *scores)

    def __str__(self) -> str:
        """The latent, the text and each scorer's newest value, on one line."""
        newest = {score.scorer: score.value for score in reversed(self.scores) if score.value is not None}
        values = "".join(f"  {scorer} {value:.3f}" for scorer, value in sorted(newest.items()))
        text = self.text.replace("\n", "⏎")
        return f"{self.latent:>6}  {text}{values}"


class Explanations(Results[Explanation]):
    """Explanations of one latent or several, to look at."""

    def __repr__(self) -> str:
        return f"<{count(len(self), 'explanation')} of {count(len({e.latent for e in self}), 'latent')}>"

    def _repr_html_(self) -> str:
        scorers = self._scorers()
        rows = [(e.latent, e.text, e.explainer, *(getattr(e.score(s), "value", None) for s in scorers)) for e in self]
        return html.page(html.table(("latent", "explanation", "explainer", *scorers), rows))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each explanation and a column for each scorer's newest score."""
        names = ("latent", "text", "explainer", "create_time", "name")
        columns = {name: [getattr(e, name) for e in self] for name in names}
        return frame({**columns, **{s: [getattr(e.score(s), "value", None) for e in self] for s in self._scorers()}})

    def _scorers(self) -> list[r.ScorerKind]:
        return cast(list[r.ScorerKind], sorted({score.scorer for e in self for score in e.scores}))
