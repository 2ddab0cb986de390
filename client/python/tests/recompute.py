"""Every number of a score, computed again from its rows with numpy alone.

A row is anything with the fields of the API's `ScoreExample`; `rows_of` makes rows of the columns that the client
returns. The server computes the same in `server/autointerp/src/stats`; nothing is shared but the definitions, which are
those of delphi (`log/result_analysis.py`) and of Bills et al. 2023 (`neuron_explainer`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[np.int64]], Floats]
"""From how often each row is drawn, `[resamples, rows]`, to the score of each resample."""

CLASSIFIERS = ("detection", "fuzzing", "fuzzing_active")
SIMULATORS = ("simulation", "simulation_json")
SEPARATORS = ("surprisal", "embedding", "example_embedding")
CHOOSERS = ("intruder",)

RESAMPLES = 4000
"""Resamples of the check of confidence intervals."""


@dataclass
class Recomputed:
    """What the rows of a score say."""

    value: float | None
    n: int
    n_failed: int
    metrics: dict[str, float] = field(default_factory=dict)
    statistic: Statistic | None = None
    rows: int = 0


def rows_of(examples: Any) -> list[Any]:
    """The rows of a `ScoreExamples`: a column each becomes a row each, and what is missing None."""
    columns = {column.name: getattr(examples, column.name) for column in fields(examples)}
    rows = [SimpleNamespace(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    for row in rows:
        for name in ("quantile", "choice", "chosen"):
            value = getattr(row, name)
            setattr(row, name, None if value < 0 else int(value))
        for name in ("label", "prediction"):
            value = getattr(row, name)
            setattr(row, name, None if value < 0 else bool(value))
        for name in ("probability", "value", "distance"):
            value = getattr(row, name)
            setattr(row, name, None if np.isnan(value) else float(value))
    return rows


def recompute(scorer: str, rows: Sequence[Any], calibration: str = "uncalibrated") -> Recomputed:
    """The score of `rows`, which are in the order in which they are stored."""
    if scorer in CLASSIFIERS:
        found = classification(rows)
    elif scorer in SIMULATORS:
        found = simulation(rows, calibration)
    elif scorer in SEPARATORS:
        found = separation(rows)
    elif scorer in CHOOSERS:
        found = choice(rows)
    else:
        raise ValueError(f"no scorer is called {scorer}")
    found.n_failed = len(rows) - found.n
    found.metrics = {name: value for name, value in found.metrics.items() if value is not None and np.isfinite(value)}
    return found


def differences(score: Any, rows: Sequence[Any]) -> list[str]:
    """Where a score is not what its rows say; empty if it is."""
    found = recompute(score.scorer, rows, score.calibration or "uncalibrated")
    out = []
    for name, stored, computed in (
        ("value", score.value, found.value),
        ("n", score.n, found.n),
        ("n_failed", score.n_failed, found.n_failed),
        *((name, score.metrics.get(name), found.metrics.get(name)) for name in {*score.metrics, *found.metrics}),
    ):
        if not same(stored, computed):
            out.append(f"{name} is {stored}, the rows say {computed}")
    out += interval_differences(score.interval, found)
    if score.scorer == "surprisal":
        out += [f"the fall of the loss of {row.example} is not {row.value}" for row in rows if not falls(row)]
    return out


def falls(row: Any) -> bool:
    """Whether a row of surprisal is what its losses say, which are kept in single precision."""
    if failed(row):
        return True
    return bool(np.isclose(np.mean(row.truth, dtype=float) - np.mean(row.predicted, dtype=float), row.value, atol=1e-5))


def same(a: float | None, b: float | None) -> bool:
    """Whether two numbers are equal but for the order of sums, or both are missing."""
    if a is None or b is None:
        return a is b
    return bool(np.isclose(a, b, rtol=1e-9, atol=1e-9))


def failed(row: Any) -> bool:
    """Whether a row counts as neither right nor wrong."""
    return bool(row.failure)


def ratio(part: float, whole: float) -> float | None:
    """A share; not defined of nothing."""
    return part / whole if whole > 0 else None


def classification(rows: Sequence[Any]) -> Recomputed:
    """Balanced accuracy and what is usual beside it."""
    scored = [row for row in rows if not failed(row) and row.label is not None and row.prediction is not None]
    label = np.array([row.label for row in scored], dtype=bool)
    said = np.array([row.prediction for row in scored], dtype=bool)
    tp, tn = int((label & said).sum()), int((~label & ~said).sum())
    fp, fn = int((~label & said).sum()), int((label & ~said).sum())
    tpr, tnr = ratio(tp, tp + fn), ratio(tn, tn + fp)
    value = None if tpr is None or tnr is None else (tpr + tnr) / 2
    probable = [row for row in rows if not failed(row) and row.probability is not None and row.label is not None]
    return Recomputed(
        value,
        len(scored),
        0,
        {
            "balanced_accuracy": value,
            "accuracy": ratio(tp + tn, len(scored)),
            "precision": ratio(tp, tp + fp),
            "recall": tpr,
            "f1": None if tpr is None else ratio(2 * tp, 2 * tp + fp + fn),
            "tpr": tpr,
            "tnr": tnr,
            "fpr": None if tnr is None else 1 - tnr,
            "fnr": None if tpr is None else 1 - tpr,
            "true_positives": tp,
            "true_negatives": tn,
            "false_positives": fp,
            "false_negatives": fn,
            "auc": auc([row.probability for row in probable], [row.label for row in probable]),
        },  # type: ignore[arg-type]
        lambda drawn: (rate(drawn, label, said == label) + rate(drawn, ~label, said == label)) / 2,
        len(scored),
    )


def rate(drawn: NDArray[np.int64], of: NDArray[np.bool_], right: NDArray[np.bool_]) -> Floats:
    """The share that is right of those drawn rows that are `of` a kind; NaN where none was drawn."""
    with np.errstate(invalid="ignore"):
        return (drawn @ (of & right)) / (drawn @ of).astype(float)


def auc(values: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The share of pairs in order, ties counting half (Mann and Whitney 1947)."""
    pairs = in_order(values, labels)
    return float(pairs.mean()) if pairs.size else None


def in_order(values: Sequence[float], labels: Sequence[bool]) -> Floats:
    """For each value with label true and each with label false: 1 if the first is higher, 0.5 if equal, else 0."""
    value, label = np.asarray(values, dtype=float), np.asarray(labels, dtype=bool)
    difference = value[label][:, None] - value[~label][None, :]
    return (np.sign(difference) + 1) / 2


def separation(rows: Sequence[Any]) -> Recomputed:
    """How well `value` tells labels apart."""
    scored = [row for row in rows if not failed(row) and row.value is not None and row.label is not None]
    value = np.array([row.value for row in scored], dtype=float)
    label = np.array([row.label for row in scored], dtype=bool)
    pairs = in_order(value, label)  # type: ignore[arg-type]

    def statistic(drawn: NDArray[np.int64]) -> Floats:
        positives, negatives = drawn[:, label].astype(float), drawn[:, ~label].astype(float)
        with np.errstate(invalid="ignore"):
            won = np.einsum("rp,pn,rn->r", positives, pairs, negatives, optimize=True)
            return won / (positives.sum(1) * negatives.sum(1))

    found = float(pairs.mean()) if pairs.size else None
    return Recomputed(
        found,
        len(scored),
        0,
        {
            "auc": found,
            "mean_activating": float(value[label].mean()) if label.any() else None,
            "mean_non_activating": float(value[~label].mean()) if (~label).any() else None,
        },  # type: ignore[arg-type]
        statistic,
        len(scored),
    )


def choice(rows: Sequence[Any]) -> Recomputed:
    """The share of prompts whose intruder was named."""
    scored = [row for row in rows if not failed(row) and row.choice is not None and row.chosen is not None]
    right = np.array([row.choice == row.chosen for row in scored], dtype=float)
    value = float(right.mean()) if len(scored) else None
    metrics = {"accuracy": value}
    return Recomputed(value, len(scored), 0, metrics, lambda drawn: drawn @ right / len(right), len(scored))  # type: ignore[arg-type]


def simulation(rows: Sequence[Any], calibration: str) -> Recomputed:
    """Correlation over the tokens of all rows; calibrations are learned on half of them and judged on the others."""
    scored = [row for row in rows if not failed(row) and len(row.predicted) and len(row.predicted) == len(row.truth)]
    evaluated = scored if calibration == "uncalibrated" else scored[1::2]
    learned = scored[::2]
    truths = [np.asarray(row.truth, dtype=float) for row in evaluated]
    raw = [np.asarray(row.predicted, dtype=float) for row in evaluated]
    calibrate = calibrator(calibration, learned)
    calibrated = [calibrate(predicted) for predicted in raw]
    # A line leaves a correlation as it is, but for its sign, which it must not turn.
    correlated = calibrated if calibration == "percentile" else raw
    truth, predicted = joined(truths), joined(calibrated)
    value = correlation(truth, joined(correlated))
    metrics: dict[str, float | None] = {
        "ev_correlation": value,
        "rsquared": explained((truth - predicted) ** 2, truth**2),
        "absolute_dev": explained(np.abs(truth - predicted), np.abs(truth)),
        "n_evaluated": len(evaluated),
    }
    for quantile in {row.quantile for row in evaluated if row.quantile is not None}:
        of = [at for at, row in enumerate(evaluated) if row.quantile == quantile]
        metrics[f"ev_correlation_q{quantile}"] = correlation(
            joined([truths[at] for at in of]), joined([correlated[at] for at in of])
        )

    def statistic(drawn: NDArray[np.int64]) -> Floats:
        pairs = zip(truths, correlated, strict=True)
        sums = np.array([[len(t), t.sum(), p.sum(), t @ t, p @ p, t @ p] for t, p in pairs])
        n, t, p, tt, pp, tp = (drawn @ sums).T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = (n * tt - t * t, n * pp - p * p)
            defined = (spread[0] > 1e-12 * n * tt) & (spread[1] > 1e-12 * n * pp)
            return np.where(defined, (n * tp - t * p) / np.sqrt(np.abs(spread[0] * spread[1])), np.nan)

    return Recomputed(value, len(scored), 0, metrics, statistic, len(evaluated))  # type: ignore[arg-type]


def joined(parts: Sequence[Floats]) -> Floats:
    """The tokens of all rows."""
    return np.concatenate(parts) if parts else np.zeros(0)


def correlation(truth: Floats, predicted: Floats) -> float | None:
    """Pearson's correlation (delphi's `correlation_score`); not defined where one side is constant."""
    for values in (truth, predicted):
        if not len(values) or values.var() <= 1e-12 * np.mean(values**2):
            return None
    return float(np.corrcoef(truth, predicted)[0, 1])


def explained(errors: Floats, sizes: Floats) -> float | None:
    """One less the share of what is there that is wrong."""
    return 1 - errors.sum() / sizes.sum() if sizes.sum() > 0 else None


def calibrator(calibration: str, learned: Sequence[Any]) -> Callable[[Floats], Floats]:
    """What brings predictions to the scale of the truth."""
    if calibration == "uncalibrated" or not learned:
        return lambda predicted: predicted
    truth = joined([np.asarray(row.truth, dtype=float) for row in learned])
    predicted = joined([np.asarray(row.predicted, dtype=float) for row in learned])
    if calibration == "linear":
        constant = predicted.var() <= 1e-12 * (1 + predicted.mean() ** 2)
        slope = 0.0 if constant else np.cov(predicted, truth, bias=True)[0, 1] / predicted.var()
        return lambda raw: slope * (raw - predicted.mean()) + truth.mean()
    if calibration == "percentile":
        knots, where = np.unique(np.sort(predicted), return_inverse=True)
        heights = np.bincount(where, np.sort(truth)) / np.bincount(where)
        return lambda raw: np.interp(raw, knots, heights)
    raise ValueError(f"no calibration is called {calibration}")


def interval_differences(interval: tuple[float, float] | None, found: Recomputed) -> list[str]:
    """Where the ends of a 95 % interval are no 2.5 % and 97.5 % quantiles of resampled scores.

    The server draws 1000 resamples with its own random numbers, so each end is an order statistic: with odds of a
    million to one it lies between the 0.4 % and the 6 % quantile of the true distribution, the other end likewise.
    """
    if interval is None:
        return []
    low, high = interval
    if found.statistic is None or found.value is None or found.rows < 2:
        return [f"the interval is {low} to {high}, the rows give none"]
    drawn = np.random.default_rng(0).multinomial(found.rows, np.full(found.rows, 1 / found.rows), size=RESAMPLES)
    values = found.statistic(drawn)
    values = values[np.isfinite(values)]
    out = []
    for name, end, least, most in (("ci_low", low, 0.004, 0.06), ("ci_high", high, 0.94, 0.996)):
        bounds = np.quantile(values, [least, most])
        if not bounds[0] - 1e-9 <= end <= bounds[1] + 1e-9:
            out.append(f"{name} is {end}, resampling gives {bounds[0]} to {bounds[1]}")
    return out


def summary(scores: Sequence[Any], firing_tokens: Mapping[int, int]) -> dict[str, float | None]:
    """What a job's summary says of one scorer, from its scores; `firing_tokens` of each latent."""
    values = [score.value for score in scores if score.value is not None]
    out: dict[str, float | None] = {
        "latents": len({score.latent for score in scores if score.value is not None}),
        "mean": float(np.mean(values)) if values else None,
        "median": float(np.median(values)) if values else None,
        "n": sum(score.n for score in scores),
        "n_failed": sum(score.n_failed for score in scores),
    }
    if not scores or scores[0].scorer not in CLASSIFIERS:
        return out
    names = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    counts = np.array([[score.metrics[name] for name in names] for score in scores])
    tp, fp, tn, fn = counts.sum(0)
    out |= dict(zip(names, (tp, fp, tn, fn), strict=True))
    tpr, tnr = ratio(tp, tp + fn), ratio(tn, tn + fp)
    out["f1"] = ratio(2 * tp, 2 * tp + fp + fn)
    out["balanced_accuracy"] = None if tpr is None or tnr is None else (tpr + tnr) / 2
    f1 = np.array([ratio(2 * tp, 2 * tp + fp + fn) or 0.0 for tp, fp, _, fn in counts])
    found = counts[:, [0, 1, 3]].sum(1) > 0
    weight = np.array([firing_tokens[score.latent] for score in scores]) * found
    out["frequency_weighted_f1"] = ratio(float(weight @ f1), float(weight.sum()))
    return out
