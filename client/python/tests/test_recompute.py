"""The recomputation of scores itself: known values, and rows that count as neither right nor wrong."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from latentd import ScoreExamples

from .recompute import differences, in_order, recompute, rows_of


@dataclass
class Row:
    label: bool | None = None
    prediction: bool | None = None
    probability: float | None = None
    value: float | None = None
    choice: int | None = None
    chosen: int | None = None
    quantile: int | None = None
    truth: list[float] = field(default_factory=list)
    predicted: list[float] = field(default_factory=list)
    failure: str = ""
    example: str = ""


@dataclass
class Score:
    scorer: str
    value: float | None
    n: int
    n_failed: int
    metrics: dict[str, float]
    interval: tuple[float, float] | None = None
    calibration: str = ""


def test_classification() -> None:
    rows = [
        Row(True, True, 0.9),
        Row(True, True, 0.6),
        Row(True, False, 0.2),
        Row(False, False, 0.2),
        Row(False, True, 0.7),
    ]
    rows.append(Row(True, None, failure="ANSWER_COUNT"))
    found = recompute("fuzzing", rows)
    assert (found.n, found.n_failed) == (5, 1)
    assert found.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.metrics["precision"] == found.metrics["recall"] == found.metrics["f1"] == pytest.approx(2 / 3)
    # Of six pairs, 0.9 is over both, 0.6 over one, and 0.2 ties with one.
    assert found.metrics["auc"] == pytest.approx(3.5 / 6)


def test_what_is_not_defined_is_left_out() -> None:
    found = recompute("detection", [Row(True, False)])
    assert found.value is None and found.metrics["f1"] == 0 and "precision" not in found.metrics
    nothing = recompute("detection", [])
    assert nothing.value is None and nothing.n == 0
    assert recompute("simulation", [Row(truth=[1, 1], predicted=[0, 1])]).value is None
    assert recompute("intruder", [Row(choice=1, failure="ANSWER_NOT_PARSED")]).value is None
    assert recompute("surprisal", [Row(True, value=1)]).value is None


def test_separation_and_choice() -> None:
    rows = [Row(True, value=3), Row(False, value=1), Row(None, value=0), Row(True)]
    found = recompute("embedding", rows)
    assert (found.value, found.n, found.n_failed) == (1, 2, 2)
    assert (found.metrics["mean_activating"], found.metrics["mean_non_activating"]) == (3, 1)
    found = recompute("intruder", [Row(choice=1, chosen=1), Row(choice=2, chosen=0), Row(choice=0)])
    assert (found.value, found.n, found.n_failed) == (0.5, 2, 1)


def test_simulation() -> None:
    rows = [
        Row(quantile=0, truth=[0, 9], predicted=[0, 9]),
        Row(quantile=1, truth=[0, 2], predicted=[2, 0]),
        Row(truth=[0, 0], predicted=[0, 1]),
        Row(quantile=1, truth=[0, 2], failure="ANSWER_COUNT"),
    ]
    found = recompute("simulation", rows)
    assert found.value == pytest.approx(np.corrcoef([0, 9, 0, 2, 0, 0], [0, 9, 2, 0, 0, 1])[0, 1])
    assert found.metrics["ev_correlation_q0"] == pytest.approx(1)
    assert found.metrics["ev_correlation_q1"] == pytest.approx(-1)
    assert found.metrics["rsquared"] == pytest.approx(1 - 9 / 85)
    assert found.metrics["absolute_dev"] == pytest.approx(1 - 5 / 11)


def test_calibrations() -> None:
    rows = [Row(truth=[2 * x + 1, 4 * x + 1], predicted=[x, 2 * x]) for x in range(8)]
    raw, line = recompute("simulation", rows), recompute("simulation", rows, "linear")
    assert raw.metrics["rsquared"] < 0.8 and line.metrics["rsquared"] == pytest.approx(1)
    assert line.metrics["n_evaluated"] == 4 and line.n == 8
    assert recompute("simulation_json", rows, "percentile").metrics["rsquared"] > 0.95
    turned = [Row(truth=[0, 5, 1], predicted=[5, 0, 4])] * 4
    assert recompute("simulation", turned, "linear").value == pytest.approx(-1)
    with pytest.raises(ValueError, match="calibration"):
        recompute("simulation", rows, "cubic")
    with pytest.raises(ValueError, match="scorer"):
        recompute("guessing", rows)


@pytest.mark.parametrize("scorer", ["detection", "simulation", "surprisal", "intruder"])
def test_intervals_are_those_of_resampling(scorer: str) -> None:
    """Slowly, one resample after the other, as the server does it."""
    rng = np.random.default_rng(1)
    rows: list[Any] = []
    for at in range(40):
        label, truth = at % 2 == 0, rng.normal(size=6)
        rows.append(
            Row(
                label,
                bool(rng.random() < (0.8 if label else 0.3)),
                value=rng.normal() + label,
                choice=1,
                chosen=int(rng.random() < 0.6),
                truth=list(truth),
                predicted=list(truth + rng.normal(size=6)),
            )
        )
    if scorer == "surprisal":
        for row in rows:
            row.truth[0] += 6 * row.label
            row.value = float(np.mean(row.truth) - np.mean(row.predicted))
    drawn = [recompute(scorer, [rows[at] for at in rng.integers(0, 40, 40)]).value for _ in range(1000)]
    low, high = np.quantile([value for value in drawn if value is not None], [0.025, 0.975])
    found = recompute(scorer, rows)
    score = Score(scorer, found.value, found.n, found.n_failed, found.metrics, (low, high))
    assert differences(score, rows) == []
    assert found.value is not None
    score.interval = (found.value, high)
    assert [text.split()[0] for text in differences(score, rows)] == ["ci_low"]
    score.value, score.interval, score.n = found.value + 1e-6, None, 39
    assert [text.split()[0] for text in differences(score, rows)] == ["value", "n"]


def test_columns_become_rows() -> None:
    empty = np.zeros(0, np.float32)
    columns = ScoreExamples(
        example=("0:0+4", "1:4+4"),
        quantile=np.array([0, -1], np.int32),
        label=np.array([1, 0], np.int8),
        prediction=np.array([-1, 1], np.int8),
        probability=np.array([np.nan, 0.75]),
        value=np.array([np.nan, np.nan]),
        choice=np.array([-1, 2], np.int32),
        chosen=np.array([-1, 0], np.int32),
        truth=(empty, empty),
        predicted=(empty, empty),
        marked=(empty.astype(np.int32),) * 2,
        distance=np.array([np.nan, 0.5]),
        failure=("ANSWER_COUNT", ""),
        exchange=("a", "b"),
    )
    first, second = rows_of(columns)
    assert (first.quantile, first.label, first.prediction, first.probability) == (0, True, None, None)
    assert (second.quantile, second.label, second.prediction, second.probability) == (None, False, True, 0.75)
    assert (first.failure, second.chosen, second.distance, second.value) == ("ANSWER_COUNT", 0, 0.5, None)


def test_a_row_of_surprisal_is_what_its_losses_say() -> None:
    rows = [Row(True, value=1.0, truth=[2, 3], predicted=[1, 2]), Row(False, value=0.5, truth=[1], predicted=[1])]
    found = recompute("surprisal", rows)
    score = Score("surprisal", found.value, found.n, found.n_failed, found.metrics)
    assert [text.split()[1] for text in differences(score, rows)] == ["fall"]


def test_pairs_in_order() -> None:
    assert in_order([1, 2, 2], [True, True, False]).tolist() == [[0], [0.5]]
