"""A server without a model: it answers calls about explanations, providers and jobs, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc

from latentd.v1 import (
    explanation_pb2,
    explanation_pb2_grpc,
    job_pb2,
    job_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
)

SAE = "models/m/saes/s"


def job(**fields: Any) -> job_pb2.Job:
    spent = job_pb2.Spent(calls=40, reused=5, prompt_tokens=9000, completion_tokens=600, dollars=0.0123)
    progress = job_pb2.Progress(unit="items", done=12, total=50, failed=1, skipped=3, eta_seconds=25, spent=spent)
    return job_pb2.Job(name="jobs/j", kind="explain_latents", progress=progress, **fields)


def paused(reason: str) -> job_pb2.Job:
    return job(state=job_pb2.JOB_STATE_PAUSED, pause_reason=reason)


def explanation(latent: int, text: str, score: float | None = None) -> explanation_pb2.Explanation:
    name = f"{SAE}/latents/{latent}/explanations/e{latent}"
    scores = [explanation_pb2.Score(name="scores/1", scorer="detection", value=score, n=10, n_failed=1)]
    return explanation_pb2.Explanation(
        name=name, latent=latent, text=text, explainer="default", scores=scores if score is not None else []
    )


class Fake(
    explanation_pb2_grpc.ExplanationServiceServicer,
    provider_pb2_grpc.ProviderServiceServicer,
    job_pb2_grpc.JobServiceServicer,
):
    """Each call keeps its request under the name of the method."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.states: list[job_pb2.Job] = []
        """What GetJob answers, one after the other; the last one from then on."""
        self.events: list[job_pb2.Job] = []
        """What WatchJob streams."""

    def ExplainLatents(self, request: Any, context: Any) -> job_pb2.Job:
        self.asked["ExplainLatents"] = request
        return job(state=job_pb2.JOB_STATE_QUEUED)

    def ScoreExplanations(self, request: Any, context: Any) -> job_pb2.Job:
        self.asked["ScoreExplanations"] = request
        return job(state=job_pb2.JOB_STATE_QUEUED)

    def GetExplanation(self, request: Any, context: Any) -> explanation_pb2.Explanation:
        found = explanation(7, "raises\nand taxes", 0.75)
        found.provenance.examples.extend(["3:0+32", "4:9+32"])
        found.provenance.seed = 22
        return found

    def ListExplanations(self, request: Any, context: Any) -> explanation_pb2.ListExplanationsResponse:
        self.asked["ListExplanations"] = request
        latent, token = (7, "more") if not request.page_token else (9, "")
        page = [explanation(latent, "raises", 0.5)]
        return explanation_pb2.ListExplanationsResponse(explanations=page, next_page_token=token)

    def SearchExplanations(self, request: Any, context: Any) -> explanation_pb2.SearchExplanationsResponse:
        self.asked["SearchExplanations"] = request
        found = explanation(7, "raises")
        found.relevance = 0.5
        return explanation_pb2.SearchExplanationsResponse(explanations=[found])

    def CreateExplanation(self, request: Any, context: Any) -> explanation_pb2.Explanation:
        made = explanation(request.latent, request.text)
        made.explainer, made.provenance.author = "hand", request.author
        return made

    def DeleteExplanation(self, request: Any, context: Any) -> explanation_pb2.DeleteExplanationResponse:
        self.asked["DeleteExplanation"] = request
        return explanation_pb2.DeleteExplanationResponse()

    def GetScore(self, request: Any, context: Any) -> explanation_pb2.Score:
        row = explanation_pb2.ScoreExample
        rows = [
            row(example="3:0+32", quantile=0, label=True, prediction=True, probability=0.75, marked=[1, 4]),
            row(example="8:5+32", label=False, failure="ANSWER_NOT_PARSED", exchange="abc"),
            row(example="9:0+2", truth=[0.0, 2.5], predicted=[0.5, 2.0], value=0.25, choice=4, chosen=0),
        ]
        score = explanation_pb2.Score(name=request.name, scorer="detection", value=0.75, n=2, n_failed=1, examples=rows)
        score.ci_low, score.ci_high = 0.5, 1.0
        score.metrics["f1"] = 0.8
        return score

    def ExportExplanations(self, request: Any, context: Any) -> Iterator[Any]:
        self.asked["ExportExplanations"] = request
        for latent in (7, 9):
            yield explanation_pb2.ExportExplanationsResponse(line=f'{{"latent": {latent}}}')

    def GetJobSummary(self, request: Any, context: Any) -> explanation_pb2.JobSummary:
        scorer = explanation_pb2.ScorerSummary(scorer="detection", latents=3, mean=0.7, true_positives=9)
        own = explanation_pb2.ExplainerSummary(scorer="detection", explainer="default", own=True, latents=3, mean=0.7)
        baseline = explanation_pb2.ExplainerSummary(scorer="detection", explainer="top_tokens")
        return explanation_pb2.JobSummary(
            job="jobs/j", latents=4, explained=3, dead=1, scorers=[scorer], explainers=[own, baseline]
        )

    def CreateProvider(self, request: Any, context: Any) -> provider_pb2.Provider:
        self.asked["CreateProvider"] = request
        made = provider_pb2.Provider()
        made.CopyFrom(request.provider)
        made.name = f"providers/{request.provider_id}"
        made.capabilities.prompt_logprobs = not request.skip_probe
        return made

    def ListProviders(self, request: Any, context: Any) -> provider_pb2.ListProvidersResponse:
        return provider_pb2.ListProvidersResponse(providers=[provider_pb2.Provider(name="providers/p", kind="LOCAL")])

    def GetProvider(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.NOT_FOUND, "there is no such provider")

    def ProbeProvider(self, request: Any, context: Any) -> provider_pb2.Provider:
        return provider_pb2.Provider(name=request.name, kind="OPENAI")

    def DeleteProvider(self, request: Any, context: Any) -> provider_pb2.DeleteProviderResponse:
        self.asked["DeleteProvider"] = request
        return provider_pb2.DeleteProviderResponse()

    def GetJob(self, request: Any, context: Any) -> job_pb2.Job:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def PauseJob(self, request: Any, context: Any) -> job_pb2.Job:
        return paused("requested")

    def ResumeJob(self, request: Any, context: Any) -> job_pb2.Job:
        self.asked["ResumeJob"] = request
        return job(state=job_pb2.JOB_STATE_RUNNING)

    def WatchJob(self, request: Any, context: Any) -> Iterator[job_pb2.JobEvent]:
        for number, event in enumerate(self.events, 1):
            yield job_pb2.JobEvent(event_id=number, job=event)


@contextmanager
def running() -> Iterator[tuple[Fake, str]]:
    """A fake that serves, and its address."""
    fake, server = Fake(), grpc.server(futures.ThreadPoolExecutor(4))
    explanation_pb2_grpc.add_ExplanationServiceServicer_to_server(fake, server)
    provider_pb2_grpc.add_ProviderServiceServicer_to_server(fake, server)
    job_pb2_grpc.add_JobServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield fake, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
