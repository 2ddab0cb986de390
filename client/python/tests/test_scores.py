"""Scores of a real job with a local provider: every number is what the rows say."""

import numpy as np

from latentd import Client, ExamplePlan, Scorer

from .conftest import SAE
from .recompute import differences, rows_of, same, summary

MODEL = "smollm2-135m"
LATENTS = 2


def test_every_number_is_what_the_rows_say(client: Client) -> None:
    client.create_provider("recompute", local=MODEL)
    stats = client.latent_stats(SAE)
    # Latents that fire often enough to show, and seldom enough to be about something.
    often = np.argsort(np.abs(stats.counts - 300), kind="stable")[:LATENTS]
    latents = np.sort(stats.latents[often])
    scorers = [
        Scorer("detection", examples_per_prompt=5),
        Scorer("fuzzing"),
        Scorer("simulation", calibration="linear"),
        Scorer("surprisal"),
        Scorer("intruder"),
    ]
    if any(model.family == "bert" for model in client.models()):
        scorers += [Scorer("embedding"), Scorer("example_embedding")]
    plan = ExamplePlan(n_train=6, n_test=7, n_non_activating=7, n_quantiles=2, window=16, min_examples=7, seed=5)
    job = client.explain(SAE, latents, provider="recompute", scorers=scorers, examples=plan)
    client.wait(job.name)

    explanations = list(client.explanations(job=job.name))
    assert sorted(explanation.latent for explanation in explanations) == latents.tolist()
    scores = [score for explanation in explanations for score in explanation.scores if score.job == job.name]
    assert {score.scorer for score in scores} == {scorer.kind for scorer in scorers}
    firing = dict(zip(stats.latents.tolist(), stats.counts.tolist(), strict=True))
    tested = set()
    for score in map(client.score_details, [score.name for score in scores]):
        assert score.examples is not None and len(score.examples) == score.n + score.n_failed
        assert differences(score, rows_of(score.examples)) == [], score
        tested |= {(score.latent, example) for example in score.examples.example}
        if score.scorer in ("surprisal", "embedding"):
            assert score.value is not None and score.n_failed == 0, "they read no answer that could be wrong"
    for explanation in explanations:
        shown = {(explanation.latent, example) for example in explanation.provenance.examples}
        assert shown and not shown & tested, "nobody is graded on what was shown"

    found = client.job_summary(job.name)
    assert (found.latents, found.explained, len(found.scorers)) == (LATENTS, LATENTS, len(scorers))
    for line in found.scorers:
        group = [score for score in scores if score.scorer == line.scorer]
        for name, value in summary(group, firing).items():
            assert same(getattr(line, name), value), f"{line.scorer}: {name}"
