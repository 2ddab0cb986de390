"""Calls that start jobs which explain and score."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from .. import _requests as r
from .. import _types as t
from ..v1 import cache_pb2, explanation_pb2, explanation_pb2_grpc
from .call import Call, enum, given, selector

ScorerLike = r.Scorer | r.ScorerKind

_SERVICE = explanation_pb2_grpc.ExplanationServiceStub
_ENCODE = ("embedding", "example_embedding")
"""Scorers that ask a sentence encoder in place of a provider."""


@dataclass(frozen=True, eq=False)
class JobOptions:
    """What ExplainLatents and ScoreExplanations share."""

    provider: str
    scorers: Sequence[ScorerLike]
    cache: str
    plan: r.ExamplePlan | None
    budget: r.Budget | None
    request_id: str

    def fields(self) -> dict[str, Any]:
        """The fields of either request. The request id makes a repeated call the same call."""
        if isinstance(self.scorers, str):
            raise TypeError("scorers is a sequence of scorers; wrap a single one in a list")
        return {
            "cache": self.cache,
            "scorers": [self._scorer(scorer) for scorer in self.scorers],
            "request_id": self.request_id or str(uuid.uuid4()),
            **given(examples=_plan(self.plan), budget=_budget(self.budget)),
        }

    def _scorer(self, scorer: ScorerLike) -> explanation_pb2.Scorer:
        scorer = r.Scorer(scorer) if isinstance(scorer, str) else scorer
        provider = scorer.provider or ("" if scorer.kind in _ENCODE else self.provider)
        calibration: Any = explanation_pb2.Scorer.Calibration
        return explanation_pb2.Scorer(
            kind=enum(explanation_pb2.Scorer.Kind, scorer.kind),
            provider=provider,
            examples_per_prompt=scorer.examples_per_prompt,
            temperature=scorer.temperature,
            encoder=scorer.encoder,
            max_tokens=scorer.max_tokens,
            **given(
                calibration=scorer.calibration and enum(calibration, scorer.calibration), threshold=scorer.threshold
            ),
        )


def _plan(plan: r.ExamplePlan | None) -> explanation_pb2.ExamplePlan | None:
    if plan is None:
        return None
    sampler: Any = explanation_pb2.ExamplePlan.Sampler
    non_activating: Any = explanation_pb2.ExamplePlan.NonActivating
    return explanation_pb2.ExamplePlan(
        n_train=plan.n_train,
        n_test=plan.n_test,
        n_non_activating=plan.n_non_activating,
        n_quantiles=plan.n_quantiles,
        window=plan.window,
        centring=enum(cache_pb2.Centring, plan.centring, "CENTRING"),
        seed=plan.seed,
        **given(
            train_sampler=plan.train_sampler and enum(sampler, plan.train_sampler),
            non_activating=plan.non_activating and enum(non_activating, plan.non_activating),
            ratio_top=plan.ratio_top,
            min_examples=plan.min_examples,
        ),
    )


def _budget(budget: r.Budget | None) -> explanation_pb2.Budget | None:
    if budget is None:
        return None
    return explanation_pb2.Budget(calls=budget.calls, tokens=budget.tokens, dollars=budget.dollars)


def explain(
    sae: str, latents: ArrayLike | range, explainer: r.Explainer | r.ExplainerKind, options: JobOptions
) -> Call[t.Job]:
    """ExplainLatents."""
    explainer = r.Explainer(explainer) if isinstance(explainer, str) else explainer
    asks = explainer.kind not in ("top_tokens", "none", "random_baseline")
    request = explanation_pb2.ExplainLatentsRequest(
        sae=sae,
        explainer=explanation_pb2.Explainer(
            kind=enum(explanation_pb2.Explainer.Kind, explainer.kind),
            provider=explainer.provider or (options.provider if asks else ""),
            chain_of_thought=explainer.chain_of_thought,
            temperature=explainer.temperature,
            max_tokens=explainer.max_tokens,
            **given(threshold=explainer.threshold),
        ),
        **selector(latents),
        **options.fields(),
    )
    return Call(_SERVICE, "ExplainLatents", request, t.Job._from_pb)


def score(sae: str, latents: ArrayLike | range | None, explanations: Sequence[str], options: JobOptions) -> Call[t.Job]:
    """ScoreExplanations."""
    if isinstance(explanations, str):
        raise TypeError("explanations is a sequence of names; wrap a single one in a list")
    chosen = {} if latents is None else selector(latents)
    request = explanation_pb2.ScoreExplanationsRequest(sae=sae, explanations=explanations, **chosen, **options.fields())
    return Call(_SERVICE, "ScoreExplanations", request, t.Job._from_pb)
