"""Calls about explanations and their scores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import grpc
from numpy.typing import ArrayLike

from .. import _calls as calls
from .. import _errors
from .. import _requests as r
from .. import _types as t
from ..v1 import explanation_pb2_grpc
from .connection import AsyncConnection


class AsyncExplanationCalls(AsyncConnection):
    """What latents mean."""

    async def explain(
        self,
        sae: str,
        latents: ArrayLike | range,
        *,
        explainer: r.Explainer | r.ExplainerKind = "default",
        provider: str = "",
        scorers: Sequence[calls.ScorerLike] = (),
        cache: str = "",
        examples: r.ExamplePlan | None = None,
        budget: r.Budget | None = None,
        request_id: str = "",
    ) -> t.Job:
        """Starts a job that explains latents and, where scorers are given, scores the explanations.

        `provider` writes the explanations and is asked by the scorers that have none of their own. Examples come from
        `cache` or else the one that holds the SAE. `watch_job` shows what is done and what it costs, and
        `explanations(job=...)` lists what was written.
        """
        options = calls.JobOptions(provider, scorers, cache, examples, budget, request_id)
        return await self._call(calls.explain(sae, latents, explainer, options))

    async def score(
        self,
        sae: str,
        latents: ArrayLike | range | None = None,
        *,
        scorers: Sequence[calls.ScorerLike],
        explanations: Sequence[str] = (),
        provider: str = "",
        cache: str = "",
        examples: r.ExamplePlan | None = None,
        budget: r.Budget | None = None,
        request_id: str = "",
    ) -> t.Job:
        """Starts a job that scores explanations that exist: of all latents, or of some, or those that are named."""
        options = calls.JobOptions(provider, scorers, cache, examples, budget, request_id)
        return await self._call(calls.score(sae, latents, explanations, options))

    async def job_summary(self, name: str | t.Job) -> t.JobSummary:
        """What a job that explains and scores has found so far."""
        return await self._call(calls.job_summary(name))

    def explanations(
        self,
        sae: str = "",
        latents: ArrayLike | None = None,
        *,
        explainer: str = "",
        scorer: str = "",
        min_score: float | None = None,
        max_score: float | None = None,
        job: str | t.Job = "",
    ) -> AsyncIterator[t.Explanation]:
        """Explanations with their scores, by SAE, latent and time; `min_score` and `max_score` are of `scorer`."""
        only = calls.ExplanationFilter(sae, latents, explainer, scorer, min_score, max_score, job)
        return self._pages(calls.list_explanations(only))

    async def explanation(self, name: str) -> t.Explanation:
        """One explanation with its scores, by its name or its id alone."""
        return await self._call(calls.get_explanation(name))

    async def search_explanations(
        self, query: str, *, sae: str = "", limit: int = 0, mode: calls.SearchMode = "auto"
    ) -> list[t.Explanation]:
        """Explanations by their words or their meaning, best first; by meaning where a sentence encoder is resident."""
        return await self._call(calls.search_explanations(query, sae, limit, mode))

    async def create_explanation(self, sae: str, latent: int, text: str, *, author: str = "") -> t.Explanation:
        """Stores an explanation that somebody wrote."""
        return await self._call(calls.create_explanation(sae, latent, text, author))

    async def delete_explanation(self, name: str) -> None:
        """Deletes an explanation with its scores."""
        await self._call(calls.delete_explanation(name))

    async def score_details(self, name: str) -> t.Score:
        """One score, with the examples that it was made of as arrays."""
        return await self._call(calls.get_score(name))

    async def export_explanations(
        self, sae: str = "", *, job: str | t.Job = "", form: calls.ExportForm = "delphi"
    ) -> AsyncIterator[str]:
        """Streams explanations and scores as lines of JSON, in the form of another tool."""
        stub = explanation_pb2_grpc.ExplanationServiceStub(self._channel)
        try:
            async for reply in stub.ExportExplanations(calls.export_explanations(sae, job, form)):
                yield reply.line
        except grpc.RpcError as error:
            raise _errors.from_rpc_error(error) from None
