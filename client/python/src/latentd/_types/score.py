"""Scores, and the examples that they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _html as html
from .._extras import frame
from ..v1 import explanation_pb2
from .record import Float32, Float64, Int8, Int32, Record, array, column, optional, time_of

_SHOWN = ("example", "quantile", "label", "prediction", "probability", "value", "failure")


def _missing(name: str, value: Any) -> bool:
    """Whether a scorer has no use for a column, by its value in one row."""
    if isinstance(value, str | np.ndarray):
        return len(value) == 0
    return bool(value != value or (value == -1 and name not in ("value", "distance")))


@dataclass(frozen=True, eq=False, repr=False)
class ScoreExamples(Record):
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
            quantile=column(rows, "quantile", -1, np.int32),
            label=column(rows, "label", -1, np.int8),
            prediction=column(rows, "prediction", -1, np.int8),
            probability=column(rows, "probability", np.nan, np.float64),
            value=column(rows, "value", np.nan, np.float64),
            choice=column(rows, "choice", -1, np.int32),
            chosen=column(rows, "chosen", -1, np.int32),
            truth=tuple(array(row.truth, np.float32) for row in rows),
            predicted=tuple(array(row.predicted, np.float32) for row in rows),
            marked=tuple(array(row.marked, np.int32) for row in rows),
            distance=column(rows, "distance", np.nan, np.float64),
            failure=tuple(row.failure for row in rows),
            exchange=tuple(row.exchange for row in rows),
        )

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.example)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One example as a dictionary of what is known of it."""
        row = {name: getattr(self, name)[index] for name in self.__dataclass_fields__}
        known = {name: value for name, value in row.items() if not _missing(name, value)}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in known.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        failed = len(self) - int(self.scored.sum())
        return f"<ScoreExamples {len(self)}{f', {failed} of them not scored' if failed else ''}>"

    def _repr_html_(self) -> str:
        return html.page(html.table(_SHOWN, ([row.get(name) for name in _SHOWN] for row in self)))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each example, NaN or None where something is missing.

        Columns that the scorer has no use for are left out.
        """
        rows = list(self)
        known = [name for name in self.__dataclass_fields__ if any(name in row for row in rows)]
        return frame({name: [row.get(name) for row in rows] for name in known})

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which examples could be scored; the others count as neither right nor wrong."""
        return np.array([not failure for failure in self.failure], dtype=np.bool_)


@dataclass(frozen=True, eq=False, repr=False)
class Score(Record):
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
            value=optional(pb, "value"),
            interval=(pb.ci_low, pb.ci_high) if pb.HasField("ci_low") and pb.HasField("ci_high") else None,
            n=pb.n,
            n_failed=pb.n_failed,
            metrics=dict(pb.metrics),
            job=pb.job,
            provider=pb.provider,
            provider_model=pb.provider_model,
            prompt_version=pb.prompt_version,
            calibration=pb.calibration,
            create_time=time_of(pb.create_time),
            examples=ScoreExamples._from_pb(pb.examples) if pb.examples else None,
        )

    def __repr__(self) -> str:
        return f"<Score of latent {self.latent}: {self}>"

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in sorted(self.metrics.items())]
        parts = [html.title(f"latent {self.latent}", str(self)), html.table(("metric", "value"), rows)]
        parts += [self.examples._repr_html_()] if self.examples is not None else []
        return html.page(*parts)

    def __str__(self) -> str:
        """The scorer, its value and the interval."""
        value = "undefined" if self.value is None else f"{self.value:.3f}"
        interval = "" if self.interval is None else f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return f"{self.scorer} {value}{interval} of {self.n} examples{failed}"
