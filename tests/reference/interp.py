"""Computes every number of scores again from their rows: with delphi's own functions where they are right, else with numpy.

usage: interp.py SOURCE        needs numpy, pandas, scikit-learn, and delphi (eai-delphi 0.1.3)
SOURCE is the URL of a database (postgresql://…, read with psql) or a file with what SCORES below selects, an object a line.

Prints, for each job and scorer, how many numbers were compared with whom, and delphi's summary of it; ends with 1 where a number
differs. What is not delphi's, and why:
- rates of a class without examples are 0 there and absent here (result_analysis.py:140), so a balanced accuracy is half of one;
- rsquared and absolute_dev are always 0 there (simulation/types.py:194), calibrations do not exist;
- failed examples are counted as 0 there (result_analysis.py:109).
"""

import json
import pathlib
import subprocess
import sys
from collections import defaultdict
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import torch

# Its clients import these; scoring uses neither.
for name in ("tiktoken", "vllm", "vllm.inputs", "vllm.distributed", "vllm.distributed.parallel_state"):
    sys.modules.setdefault(name, MagicMock())

from delphi.log.result_analysis import (
    compute_auc,
    compute_classification_metrics,
    compute_confusion,
    frequency_weighted_f1,
)
from delphi.scorers.simulator.simulation.scoring import _aggregate_group
from delphi.scorers.simulator.simulation.types import SimulationResult
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "client/python/tests"))
from recompute import CHOOSERS, CLASSIFIERS, SEPARATORS, differences, same, summary  # noqa: E402

SCORES = """
select to_jsonb(s) || jsonb_build_object('examples', coalesce(
    (select jsonb_agg(to_jsonb(e) order by e.ord) from score_example e where e.score_id = s.id), '[]'))
from score s order by s.job_id, s.stage, s.latent
"""

np.seterr(divide="ignore", invalid="ignore")

# What a metric is called there.
DELPHI = {
    "balanced_accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1_score",
    "tpr": "true_positive_rate",
    "tnr": "true_negative_rate",
    "fpr": "false_positive_rate",
    "fnr": "false_negative_rate",
}


def exact(row):
    """A row whose `real` columns are what the database holds: it prints the shortest text that reads as the same `real`."""
    return row | {name: [float(np.float32(value)) for value in row[name]] for name in ("truth", "predicted")}


def read(source):
    """The scores, each with its rows as `examples`."""
    if "://" in source:
        lines = subprocess.run(
            ["psql", source, "-XAt", "-c", SCORES], check=True, capture_output=True, text=True
        ).stdout.splitlines()
    else:
        lines = pathlib.Path(source).read_text().splitlines()
    scores = [SimpleNamespace(**json.loads(line)) for line in lines if line]
    for score in scores:
        score.examples = [SimpleNamespace(**exact(row)) for row in score.examples]
        score.interval = None if score.ci_low is None else (score.ci_low, score.ci_high)
    return scores


def frame(scores):
    """Rows as delphi reads them from its files."""
    return pd.DataFrame(
        [
            {
                "module": "sae",
                "latent_idx": score.latent,
                "activating": row.label,
                "prediction": None if row.failure or row.prediction is None else float(row.prediction),
                "probability": None if row.failure else row.probability,
            }
            for score in scores
            for row in score.examples
        ],
    ).astype({"prediction": float, "probability": float})


def by_delphi(score):
    """What delphi says of a score: metric by name."""
    rows = [row for row in score.examples if not row.failure]
    if score.scorer in CLASSIFIERS:
        rows = frame([score])
        counts = compute_confusion(rows)
        measures = compute_classification_metrics(counts)
        both = counts["total_positives"] > 0 and counts["total_negatives"] > 0
        out = {ours: measures[theirs] for ours, theirs in DELPHI.items() if ours in score.metrics}
        out |= {name: counts[name] for name in counts if name in score.metrics}
        if both:
            out["value"] = measures["accuracy"]
        if "auc" in score.metrics:
            out["auc"] = compute_auc(rows)
        return out
    if score.scorer in SEPARATORS:
        if score.value is None:
            return {}
        rows = [row for row in rows if row.label is not None and row.value is not None]
        found = roc_auc_score([row.label for row in rows], [row.value for row in rows])
        return {"value": found, "auc": found}
    if score.scorer in CHOOSERS:
        if not rows:
            return {}
        return {"value": float(np.mean([row.choice == row.chosen for row in rows]))}
    if score.calibration == "percentile":
        return {}
    rows = [row for row in rows if row.predicted]
    if score.calibration == "linear":
        rows = rows[1::2]
    groups = defaultdict(list)
    for row in rows:
        quantile = -1 if row.quantile is None else row.quantile
        result = SimulationResult([""] * len(row.truth), row.predicted, row.truth, float("nan"), quantile)
        groups["value"].append(result)
        groups[f"ev_correlation_q{quantile}"].append(result)
    found = {name: float(_aggregate_group(0, group).correlation) for name, group in groups.items()}
    found["ev_correlation"] = found.get("value")
    return {
        name: v for name, v in found.items() if name in score.metrics or (name == "value" and score.value is not None)
    }


def main(source):
    """Compares and prints."""
    scores, wrong = read(source), 0
    groups = defaultdict(list)
    for score in scores:
        groups[score.job_id, score.stage, score.scorer].append(score)
    for (job, _, scorer), group in groups.items():
        compared = defaultdict(int)
        for score in group:
            errors = differences(score, score.examples)
            compared["numpy"] += 3 + len(score.metrics) + (2 if score.interval else 0)
            for name, theirs in by_delphi(score).items():
                stored = score.value if name == "value" else score.metrics[name]
                compared["delphi"] += 1
                if not same(stored, float(theirs)):
                    errors.append(f"{name} is {stored}, delphi says {theirs}")
            for error in errors:
                print(f"score {score.id}, {scorer} of latent {score.latent}: {error}")
            wrong += len(errors)
        print(
            f"{job} {scorer}: {len(group)} scores, {compared['numpy']} numbers by numpy, {compared['delphi']} by delphi"
        )
        firing = {score.latent: score.firing_tokens for score in group}
        said = summary(group, firing)
        rows = frame(group) if scorer in CLASSIFIERS else None
        if rows is not None and rows.prediction.notna().any():  # delphi's functions need a prediction
            counts = compute_confusion(rows)
            measures = compute_classification_metrics(counts)
            tokens = torch.zeros(max(firing) + 1, dtype=torch.int64)
            for latent, count in firing.items():
                tokens[latent] = count
            weighted = frequency_weighted_f1(rows[rows.prediction.notna()], {"sae": tokens})
            said |= {"delphi's F1": measures["f1_score"], "delphi's frequency-weighted F1": weighted}
        print("    " + ", ".join(f"{name} {value:.4g}" for name, value in said.items()))
    print(f"{len(scores)} scores, {wrong} numbers differ")
    return 1 if wrong or not scores else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
