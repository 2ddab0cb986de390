"""Calls about explanations and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from .. import _types as t
from ..v1 import explanation_pb2, explanation_pb2_grpc
from .call import Call, Pages, enum, given, ids

SearchMode = Literal["auto", "words", "meaning"]
ExportForm = Literal["delphi", "neuronpedia"]

_SERVICE = explanation_pb2_grpc.ExplanationServiceStub


def get_explanation(name: str) -> Call[t.Explanation]:
    """GetExplanation."""
    request = explanation_pb2.GetExplanationRequest(name=name)
    return Call(_SERVICE, "GetExplanation", request, t.Explanation._from_pb)


@dataclass(frozen=True, eq=False)
class ExplanationFilter:
    """Which explanations to list; what is empty or None does not filter."""

    sae: str
    latents: ArrayLike | None
    explainer: str
    scorer: str
    min_score: float | None
    max_score: float | None
    job: str | t.Job


def list_explanations(only: ExplanationFilter) -> Pages[t.Explanation]:
    """ListExplanations."""
    latents = [] if only.latents is None else ids(only.latents)
    bounds = given(min_score=only.min_score, max_score=only.max_score)
    return Pages(
        _SERVICE,
        "ListExplanations",
        lambda token: explanation_pb2.ListExplanationsRequest(
            sae=only.sae,
            latents=latents,
            explainer=only.explainer,
            scorer=only.scorer,
            job=t.name_of(only.job),
            page_token=token,
            **bounds,
        ),
        lambda reply: map(t.Explanation._from_pb, reply.explanations),
    )


def search_explanations(query: str, sae: str, limit: int, mode: SearchMode) -> Call[list[t.Explanation]]:
    """SearchExplanations."""
    request = explanation_pb2.SearchExplanationsRequest(
        query=query, sae=sae, limit=limit, mode=enum(explanation_pb2.SearchMode, mode, "SEARCH_MODE", unset="auto")
    )
    return Call(
        _SERVICE,
        "SearchExplanations",
        request,
        lambda reply: [t.Explanation._from_pb(explanation) for explanation in reply.explanations],
    )


def create_explanation(sae: str, latent: int, text: str, author: str) -> Call[t.Explanation]:
    """CreateExplanation."""
    request = explanation_pb2.CreateExplanationRequest(sae=sae, latent=latent, text=text, author=author)
    return Call(_SERVICE, "CreateExplanation", request, t.Explanation._from_pb, retry=False)


def delete_explanation(name: str) -> Call[None]:
    """DeleteExplanation."""
    request = explanation_pb2.DeleteExplanationRequest(name=name)
    return Call(_SERVICE, "DeleteExplanation", request, lambda reply: None, retry=False)


def get_score(name: str) -> Call[t.Score]:
    """GetScore."""
    return Call(_SERVICE, "GetScore", explanation_pb2.GetScoreRequest(name=name), t.Score._from_pb)


def export_explanations(sae: str, job: str | t.Job, form: ExportForm) -> Any:
    """The request of ExportExplanations."""
    kind: Any = explanation_pb2.ExportExplanationsRequest.Form
    return explanation_pb2.ExportExplanationsRequest(sae=sae, job=t.name_of(job), form=enum(kind, form))


def job_summary(name: str | t.Job) -> Call[t.JobSummary]:
    """GetJobSummary."""
    request = explanation_pb2.GetJobSummaryRequest(name=t.name_of(name))
    return Call(_SERVICE, "GetJobSummary", request, t.JobSummary._from_pb)
