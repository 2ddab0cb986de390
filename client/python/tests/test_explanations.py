"""The calls about explanations, providers and paid jobs, against a fake: what is sent, what is made of the reply."""

from collections.abc import Iterator

import numpy as np
import pytest

from latentd import (
    AsyncClient,
    Budget,
    Client,
    ExamplePlan,
    Explainer,
    JobPausedError,
    Limits,
    NotFoundError,
    Prices,
    Scorer,
)
from latentd.v1 import cache_pb2, explanation_pb2, job_pb2, provider_pb2

from .fake import Fake, job, paused, running


@pytest.fixture
def fake() -> Iterator[tuple[Fake, str]]:
    with running() as served:
        yield served


@pytest.fixture
def plain(fake: tuple[Fake, str]) -> Iterator[tuple[Fake, Client]]:
    served, address = fake
    with Client(address, timeout=10, retries=0) as client:
        yield served, client


def test_explain_sends_what_was_given_and_no_more(plain: tuple[Fake, Client]) -> None:
    fake, client = plain
    started = client.explain("m/s", [3, 1], provider="p", scorers=["detection", "fuzzing"])
    assert (started.name, started.state) == ("jobs/j", "queued")
    sent = fake.asked["ExplainLatents"]
    assert (sent.sae, list(sent.latents.latents), sent.cache) == ("m/s", [3, 1], "")
    assert (sent.explainer.kind, sent.explainer.provider) == (explanation_pb2.Explainer.DEFAULT, "p")
    assert [(s.kind, s.provider) for s in sent.scorers] == [
        (explanation_pb2.Scorer.DETECTION, "p"),
        (explanation_pb2.Scorer.FUZZING, "p"),
    ]
    assert not sent.HasField("examples") and not sent.HasField("budget") and len(sent.request_id) == 36


def test_explain_sends_every_setting(plain: tuple[Fake, Client]) -> None:
    fake, client = plain
    client.explain(
        "m/s",
        range(0, 100),
        explainer=Explainer("contrastive", provider="q", threshold=0.5, chain_of_thought=True, max_tokens=90),
        provider="p",
        scorers=[
            Scorer("simulation", provider="r", calibration="linear"),
            Scorer("embedding", encoder="minilm"),
            Scorer("intruder", examples_per_prompt=7, temperature=0.5),
        ],
        cache="c",
        examples=ExamplePlan(
            n_train=4, train_sampler="mix", ratio_top=0.0, non_activating="similar_text", centring="middle", seed=7
        ),
        budget=Budget(dollars=0.5),
        request_id="mine",
    )
    sent = fake.asked["ExplainLatents"]
    assert (sent.range.start, sent.range.end, sent.cache, sent.request_id) == (0, 100, "c", "mine")
    assert (sent.explainer.provider, sent.explainer.threshold, sent.explainer.max_tokens) == ("q", 0.5, 90)
    assert sent.explainer.chain_of_thought
    simulation, embedding, intruder = sent.scorers
    assert (simulation.provider, simulation.calibration) == ("r", explanation_pb2.Scorer.LINEAR)
    assert (embedding.provider, embedding.encoder) == ("", "minilm")
    assert (intruder.provider, intruder.examples_per_prompt, intruder.temperature) == ("p", 7, 0.5)
    plan = sent.examples
    assert (plan.n_train, plan.n_test, plan.seed) == (4, 0, 7)
    assert plan.train_sampler == explanation_pb2.ExamplePlan.MIX
    assert plan.HasField("ratio_top") and not plan.HasField("min_examples")
    assert plan.non_activating == explanation_pb2.ExamplePlan.SIMILAR_TEXT
    assert plan.centring == cache_pb2.CENTRING_MIDDLE
    assert (sent.budget.calls, sent.budget.dollars) == (0, 0.5)


def test_score_takes_all_or_some_or_named_explanations(plain: tuple[Fake, Client]) -> None:
    fake, client = plain
    client.score("m/s", scorers=["surprisal"], provider="p")
    assert fake.asked["ScoreExplanations"].WhichOneof("selector") is None
    client.score("m/s", [7], scorers=["surprisal"], explanations=["e7"])
    sent = fake.asked["ScoreExplanations"]
    assert list(sent.latents.latents) == [7] and list(sent.explanations) == ["e7"]


def test_what_cannot_be_meant_is_refused_here(plain: tuple[Fake, Client]) -> None:
    _, client = plain
    with pytest.raises(TypeError, match="sequence of scorers"):
        client.explain("m/s", [1], scorers="detection")
    with pytest.raises(ValueError, match="'recall' is none of detection"):
        client.explain("m/s", [1], scorers=["recall"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="'other' is none of default"):
        client.explain("m/s", [1], explainer="other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="endpoint, or local"):
        client.create_provider("p")
    with pytest.raises(ValueError, match="for an endpoint"):
        client.create_provider("p", local="m", key="env:KEY")
    with pytest.raises(ValueError, match="never sent") as caught:
        client.create_provider("p", url="http://h/v1", model="m", key="sk-123")
    assert "sk-123" not in str(caught.value)


def test_explanations(plain: tuple[Fake, Client]) -> None:
    fake, client = plain
    listed = list(client.explanations("m/s", [7, 9], scorer="detection", min_score=0.0))
    assert [e.latent for e in listed] == [7, 9]
    sent = fake.asked["ListExplanations"]
    assert list(sent.latents) == [7, 9] and sent.HasField("min_score") and not sent.HasField("max_score")
    found = client.explanation("e7")
    assert found.provenance.examples == ("3:0+32", "4:9+32") and found.provenance.seed == 22
    score = found.score("detection")
    assert score is not None and score == found.scores[0] and found.score("fuzzing") is None
    assert str(found) == "     7  raises⏎and taxes  detection 0.750"
    assert str(score) == "detection 0.750 of 10 examples, 1 failed"
    (hit,) = client.search_explanations("raise -tax", limit=3, mode="words")
    assert hit.relevance == 0.5 and fake.asked["SearchExplanations"].mode == explanation_pb2.SEARCH_MODE_WORDS
    written = client.create_explanation("m/s", 7, "raises", author="Ada")
    assert (written.explainer, written.provenance.author) == ("hand", "Ada")
    client.delete_explanation("e7")
    assert fake.asked["DeleteExplanation"].name == "e7"
    assert list(client.export_explanations("m/s", form="neuronpedia")) == ['{"latent": 7}', '{"latent": 9}']
    assert fake.asked["ExportExplanations"].form == explanation_pb2.ExportExplanationsRequest.NEURONPEDIA


def test_a_score_is_arrays(plain: tuple[Fake, Client]) -> None:
    _, client = plain
    score = client.score_details("1")
    assert (score.value, score.interval, score.n, score.n_failed) == (0.75, (0.5, 1.0), 2, 1)
    assert score.metrics == {"f1": 0.8}
    rows = score.examples
    assert rows is not None and len(rows) == 3
    assert rows.example == ("3:0+32", "8:5+32", "9:0+2")
    np.testing.assert_array_equal(rows.label, np.array([1, 0, -1], dtype=np.int8))
    np.testing.assert_array_equal(rows.prediction, [1, -1, -1])
    np.testing.assert_array_equal(rows.quantile, [0, -1, -1])
    np.testing.assert_array_equal(rows.probability, [0.75, np.nan, np.nan])
    np.testing.assert_array_equal(rows.scored, [True, False, True])
    np.testing.assert_array_equal(rows.choice, [-1, -1, 4])
    np.testing.assert_array_equal(rows.chosen, [-1, -1, 0])
    np.testing.assert_array_equal(rows.marked[0], [1, 4])
    assert rows[1] == {"example": "8:5+32", "label": 0, "failure": "ANSWER_NOT_PARSED", "exchange": "abc"}
    table = rows.to_pandas()
    assert table.prediction.mean() == 1.0 and table.label.isna().tolist() == [False, False, True]
    assert "distance" not in table and table.failure.notna().tolist() == [False, True, False]
    np.testing.assert_array_equal(rows.truth[2], np.array([0.0, 2.5], dtype=np.float32))
    np.testing.assert_array_equal(rows.predicted[2], np.array([0.5, 2.0], dtype=np.float32))
    assert rows.failure[1] == "ANSWER_NOT_PARSED" and rows.exchange[1] == "abc"


def test_providers(plain: tuple[Fake, Client]) -> None:
    fake, client = plain
    made = client.create_provider(
        "openrouter",
        url="https://openrouter.ai/api/v1",
        model="some/model",
        key="env:KEY",
        limits=Limits(max_in_flight=4),
        prices=Prices(prompt_per_million=0.5),
        probe=False,
    )
    assert (made.name, made.kind, made.key_source) == ("providers/openrouter", "openai", "env:KEY")
    assert (made.limits.max_in_flight, made.prices.prompt_per_million) == (4, 0.5)
    assert not made.prompt_logprobs and fake.asked["CreateProvider"].skip_probe
    local = client.create_provider("here", local="smollm2-135m")
    assert (local.kind, local.model, local.prompt_logprobs) == ("local", "smollm2-135m", True)
    assert fake.asked["CreateProvider"].provider.kind == provider_pb2.Provider.LOCAL
    assert [p.name for p in client.providers()] == ["providers/p"]
    assert client.probe_provider("p").kind == "openai"
    client.delete_provider("p")
    assert fake.asked["DeleteProvider"].name == "p"
    with pytest.raises(NotFoundError):
        client.provider("none")


def test_a_job_says_what_it_cost(plain: tuple[Fake, Client]) -> None:
    fake, client = plain
    fake.events = [job(state=job_pb2.JOB_STATE_RUNNING), job(state=job_pb2.JOB_STATE_SUCCEEDED)]
    seen = list(client.watch_job("j"))
    assert [event.state for event in seen] == ["running", "succeeded"]
    spent = seen[0].progress.spent
    assert spent is not None and (spent.calls, spent.reused, spent.tokens, spent.dollars) == (40, 5, 9600, 0.0123)
    line = "12 of 50 items, 1 failed, 3 left out, 25 s to go, 40 calls (5 reused), 9600 tokens, $0.0123"
    assert str(seen[0].progress) == line
    summary = client.job_summary("j")
    assert (summary.explained, summary.dead, summary.scorers[0].true_positives) == (3, 1, 9)
    # What is not defined is None, and not 0.
    assert (summary.scorers[0].mean, summary.scorers[0].median, summary.scorers[0].f1) == (0.7, None, None)
    beside = [(row.explainer, row.own, row.mean) for row in summary.explainers]
    assert beside == [("default", True, 0.7), ("top_tokens", False, None)]
    assert client.pause_job("j").pause_reason == "requested"
    client.resume_job("j", budget=Budget(calls=100))
    sent = fake.asked["ResumeJob"]
    assert (sent.budget_calls, sent.budget_tokens, sent.budget_dollars) == (100, 0, 0.0)


def test_a_wait_ends_when_the_job_cannot_go_on(plain: tuple[Fake, Client]) -> None:
    fake, client = plain
    fake.states = [paused("budget")]
    fake.events = [paused("budget"), job(state=job_pb2.JOB_STATE_SUCCEEDED)]
    with pytest.raises(JobPausedError, match="its budget is spent: 12 of 50 items"):
        client.wait("j")
    # The same event of a job that was resumed since is history.
    fake.states = [job(state=job_pb2.JOB_STATE_RUNNING)]
    assert client.wait("j").state == "succeeded"
    # Somebody paused it, and will let it go on.
    fake.states, fake.events[0] = [paused("requested")], paused("requested")
    assert client.wait("j").state == "succeeded"


async def test_the_asyncio_client_does_the_same(fake: tuple[Fake, str]) -> None:
    served, address = fake
    async with AsyncClient(address, timeout=10, retries=0) as client:
        await client.explain("m/s", [3], provider="p", scorers=["detection"])
        assert served.asked["ExplainLatents"].scorers[0].provider == "p"
        assert [e.latent async for e in client.explanations("m/s")] == [7, 9]
        assert [line async for line in client.export_explanations("m/s")] == ['{"latent": 7}', '{"latent": 9}']
        assert (await client.score_details("1")).examples is not None
        assert [p.name async for p in client.providers()] == ["providers/p"]
        served.states = [paused("provider")]
        served.events = [paused("provider")]
        with pytest.raises(JobPausedError, match="refuses its key"):
            await client.wait("j")
