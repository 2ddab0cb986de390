"""What the calls about explanations and providers return: frozen dataclasses with numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _requests as r
from ._types import Float32, Int32, Spent, _array, _time
from .v1 import explanation_pb2, provider_pb2

Float64 = NDArray[np.float64]
Int8 = NDArray[np.int8]


def _optional(pb: Any, name: str) -> Any:
    """The field, or None if it is not set."""
    return getattr(pb, name) if pb.HasField(name) else None


def _column(rows: Sequence[Any], name: str, missing: Any, dtype: Any) -> NDArray[Any]:
    """A field of all rows; `missing` where it is not set."""
    values = (getattr(row, name) if row.HasField(name) else missing for row in rows)
    return np.fromiter(values, dtype=dtype, count=len(rows))


@dataclass(frozen=True)
class ScoreExamples:
    """The examples that a score was made of, in parallel arrays: one row for each that the scorer was shown.

    What a scorer has no use for is missing in all rows: -1 in an integer column, NaN in a column of floats.
    """

    example: tuple[str, ...]
    """Example, as `row:start+length`."""
    quantile: Int32
    """Quantile that it was drawn from, 0 the strongest; -1 where the latent does not fire."""
    label: Int8
    """1 if the latent fires on it, or with fuzzing if the marks are right; 0 if not."""
    prediction: Int8
    """1 if the provider said so, 0 if not; -1 where nothing could be read."""
    probability: Float64
    """Probability of that the provider says yes, where it gives probabilities."""
    value: Float64
    """Cosine (embedding), difference of cosines (example embedding), or fall of the loss in nats a token."""
    choice: Int32
    """Position of the intruder among the texts of its prompt."""
    chosen: Int32
    """Position that the provider named."""
    truth: tuple[Float32, ...]
    """Activation of each token (simulation), or loss of each token without the explanation (surprisal)."""
    predicted: tuple[Float32, ...]
    """Predicted activation of each token (simulation), or loss of each token with the explanation (surprisal)."""
    marked: tuple[Int32, ...]
    """Indexes of the tokens that were marked."""
    distance: Float64
    """Similarity that chose it as an example on which the latent does not fire, where one did."""
    failure: tuple[str, ...]
    """Why it was not scored: an error reason; empty if it was."""
    exchange: tuple[str, ...]
    """Hash of the exchange with the provider."""

    @classmethod
    def _from_pb(cls, rows: Sequence[explanation_pb2.ScoreExample]) -> ScoreExamples:
        return cls(
            example=tuple(row.example for row in rows),
            quantile=_column(rows, "quantile", -1, np.int32),
            label=_column(rows, "label", -1, np.int8),
            prediction=_column(rows, "prediction", -1, np.int8),
            probability=_column(rows, "probability", np.nan, np.float64),
            value=_column(rows, "value", np.nan, np.float64),
            choice=_column(rows, "choice", -1, np.int32),
            chosen=_column(rows, "chosen", -1, np.int32),
            truth=tuple(_array(row.truth, np.float32) for row in rows),
            predicted=tuple(_array(row.predicted, np.float32) for row in rows),
            marked=tuple(_array(row.marked, np.int32) for row in rows),
            distance=_column(rows, "distance", np.nan, np.float64),
            failure=tuple(row.failure for row in rows),
            exchange=tuple(row.exchange for row in rows),
        )

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.example)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which examples could be scored; the others count as neither right nor wrong."""
        return np.array([not failure for failure in self.failure], dtype=np.bool_)


@dataclass(frozen=True)
class Score:
    """How good an explanation is, as one scorer sees it.

    `value` is the balanced accuracy of detection and fuzzing, the correlation of simulation, the AUC of surprisal and
    embedding, the accuracy of intruder; None if it is not defined for the examples that could be scored. `interval` is
    its 95 % confidence interval, by bootstrap over examples.
    """

    name: str
    explanation: str
    latent: int
    scorer: str
    value: float | None
    interval: tuple[float, float] | None
    n: int
    n_failed: int
    metrics: dict[str, float]
    job: str
    provider: str
    provider_model: str
    prompt_version: str
    calibration: str
    create_time: datetime | None
    examples: ScoreExamples | None = field(default=None, compare=False, repr=False)
    """The examples; only from `score_details`."""

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.Score) -> Score:
        return cls(
            name=pb.name,
            explanation=pb.explanation,
            latent=pb.latent,
            scorer=pb.scorer,
            value=_optional(pb, "value"),
            interval=(pb.ci_low, pb.ci_high) if pb.HasField("ci_low") and pb.HasField("ci_high") else None,
            n=pb.n,
            n_failed=pb.n_failed,
            metrics=dict(pb.metrics),
            job=pb.job,
            provider=pb.provider,
            provider_model=pb.provider_model,
            prompt_version=pb.prompt_version,
            calibration=pb.calibration,
            create_time=_time(pb.create_time),
            examples=ScoreExamples._from_pb(pb.examples) if pb.examples else None,
        )

    def __str__(self) -> str:
        """The scorer, its value and the interval."""
        value = "undefined" if self.value is None else f"{self.value:.3f}"
        interval = "" if self.interval is None else f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return f"{self.scorer} {value}{interval} of {self.n} examples{failed}"


@dataclass(frozen=True)
class Provenance:
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


@dataclass(frozen=True)
class Explanation:
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
            create_time=_time(pb.create_time),
            relevance=_optional(pb, "relevance"),
        )

    def score(self, scorer: r.ScorerKind) -> Score | None:
        """The newest score that `scorer` gave."""
        return next((score for score in self.scores if score.scorer == scorer), None)

    def __str__(self) -> str:
        """The latent, the text and each scorer's newest value, on one line."""
        newest = {score.scorer: score.value for score in reversed(self.scores) if score.value is not None}
        values = "".join(f"  {scorer} {value:.3f}" for scorer, value in sorted(newest.items()))
        text = self.text.replace("\n", "⏎")
        return f"{self.latent:>6}  {text}{values}"


@dataclass(frozen=True)
class ScorerSummary:
    """What one scorer of a job has found. The counts and F1 mean something only with detection and fuzzing."""

    scorer: str
    latents: int
    mean: float
    median: float
    n: int
    n_failed: int
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    f1: float
    frequency_weighted_f1: float
    balanced_accuracy: float

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.ScorerSummary) -> ScorerSummary:
        return cls(**{name: getattr(pb, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class JobSummary:
    """What a job that explains and scores has found so far; the latents that were left out are dead or skipped."""

    job: str
    latents: int
    explained: int
    dead: int
    skipped: int
    failed: int
    scorers: tuple[ScorerSummary, ...]
    spent: Spent

    @classmethod
    def _from_pb(cls, pb: explanation_pb2.JobSummary) -> JobSummary:
        counts = {name: getattr(pb, name) for name in ("job", "latents", "explained", "dead", "skipped", "failed")}
        scorers = tuple(ScorerSummary._from_pb(scorer) for scorer in pb.scorers)
        return cls(**counts, scorers=scorers, spent=Spent._from_pb(pb.spent))


@dataclass(frozen=True)
class Provider:
    """A language model that jobs may use. `kind` is `openai` or `local`.

    `key_source` says where the server finds the key, such as `env:NAME`; the key itself never travels.
    """

    name: str
    kind: str
    base_url: str
    model: str
    key_source: str
    limits: r.Limits
    prices: r.Prices
    json_schema: bool
    """It answers in JSON of a given schema."""
    chat_logprobs: bool
    """It gives the log-probabilities of the tokens that it generates."""
    prompt_logprobs: bool
    """It gives those of the tokens of a given text: simulation and surprisal need it."""
    context_length: int
    """Longest prompt and answer together, in tokens; 0 if it is not known."""
    create_time: datetime | None
    probe_time: datetime | None

    @classmethod
    def _from_pb(cls, pb: provider_pb2.Provider) -> Provider:
        can = pb.capabilities
        return cls(
            name=pb.name,
            kind=provider_pb2.Provider.Kind.Name(pb.kind).lower(),
            base_url=pb.base_url,
            model=pb.model,
            key_source=pb.key_source,
            limits=r.Limits(**{name: getattr(pb.limits, name) for name in r.Limits.__dataclass_fields__}),
            prices=r.Prices(**{name: getattr(pb.prices, name) for name in r.Prices.__dataclass_fields__}),
            json_schema=can.json_schema,
            chat_logprobs=can.chat_logprobs,
            prompt_logprobs=can.prompt_logprobs,
            context_length=can.context_length,
            create_time=_time(pb.create_time),
            probe_time=_time(pb.probe_time),
        )
