"""The calls about explanations and providers, described once for both clients."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from . import _interp as i
from . import _requests as r
from . import _types as t
from ._calls import Call, Pages, _enum, _given, _ids
from .v1 import (
    activation_pb2,
    cache_pb2,
    explanation_pb2,
    explanation_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
)

SearchMode = Literal["auto", "words", "meaning"]
ExportForm = Literal["delphi", "neuronpedia"]
ScorerLike = r.Scorer | r.ScorerKind

_SERVICE = explanation_pb2_grpc.ExplanationServiceStub
_PROVIDERS = provider_pb2_grpc.ProviderServiceStub
_ENCODE = ("embedding", "example_embedding")
"""Scorers that ask a sentence encoder in place of a provider."""


@dataclass(frozen=True)
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
            **_given(examples=_plan(self.plan), budget=_budget(self.budget)),
        }

    def _scorer(self, scorer: ScorerLike) -> explanation_pb2.Scorer:
        scorer = r.Scorer(scorer) if isinstance(scorer, str) else scorer
        provider = scorer.provider or ("" if scorer.kind in _ENCODE else self.provider)
        calibration: Any = explanation_pb2.Scorer.Calibration
        return explanation_pb2.Scorer(
            kind=_kind(explanation_pb2.Scorer.Kind, scorer.kind),
            provider=provider,
            examples_per_prompt=scorer.examples_per_prompt,
            temperature=scorer.temperature,
            encoder=scorer.encoder,
            **_given(
                calibration=scorer.calibration and _kind(calibration, scorer.calibration), threshold=scorer.threshold
            ),
        )


def _kind(kind: Any, name: str) -> Any:
    """The value of an enum that the API calls by its name alone."""
    if name.upper() not in kind.keys():
        known = ", ".join(key.lower() for key in kind.keys() if not key.endswith("UNSPECIFIED"))
        raise ValueError(f"{name!r} is none of {known}")
    return kind.Value(name.upper())


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
        centring=_enum(cache_pb2.Centring, "CENTRING", plan.centring),
        seed=plan.seed,
        **_given(
            train_sampler=plan.train_sampler and _kind(sampler, plan.train_sampler),
            non_activating=plan.non_activating and _kind(non_activating, plan.non_activating),
            ratio_top=plan.ratio_top,
            min_examples=plan.min_examples,
        ),
    )


def _budget(budget: r.Budget | None) -> explanation_pb2.Budget | None:
    if budget is None:
        return None
    return explanation_pb2.Budget(calls=budget.calls, tokens=budget.tokens, dollars=budget.dollars)


def _selector(latents: ArrayLike | range) -> dict[str, Any]:
    if isinstance(latents, range) and latents.step == 1:
        return {"range": cache_pb2.LatentRange(start=latents.start, end=latents.stop)}
    return {"latents": activation_pb2.LatentSet(latents=_ids(latents))}


def explain(
    sae: str, latents: ArrayLike | range, explainer: r.Explainer | r.ExplainerKind, options: JobOptions
) -> Call[t.Job]:
    """ExplainLatents."""
    explainer = r.Explainer(explainer) if isinstance(explainer, str) else explainer
    asks = explainer.kind not in ("none", "random_baseline")
    request = explanation_pb2.ExplainLatentsRequest(
        sae=sae,
        explainer=explanation_pb2.Explainer(
            kind=_kind(explanation_pb2.Explainer.Kind, explainer.kind),
            provider=explainer.provider or (options.provider if asks else ""),
            chain_of_thought=explainer.chain_of_thought,
            temperature=explainer.temperature,
            max_tokens=explainer.max_tokens,
            **_given(threshold=explainer.threshold),
        ),
        **_selector(latents),
        **options.fields(),
    )
    return Call(_SERVICE, "ExplainLatents", request, t.Job._from_pb)


def score(sae: str, latents: ArrayLike | range | None, explanations: Sequence[str], options: JobOptions) -> Call[t.Job]:
    """ScoreExplanations."""
    if isinstance(explanations, str):
        raise TypeError("explanations is a sequence of names; wrap a single one in a list")
    selector = {} if latents is None else _selector(latents)
    request = explanation_pb2.ScoreExplanationsRequest(
        sae=sae, explanations=explanations, **selector, **options.fields()
    )
    return Call(_SERVICE, "ScoreExplanations", request, t.Job._from_pb)


def get_explanation(name: str) -> Call[i.Explanation]:
    """GetExplanation."""
    request = explanation_pb2.GetExplanationRequest(name=name)
    return Call(_SERVICE, "GetExplanation", request, i.Explanation._from_pb)


@dataclass(frozen=True)
class ExplanationFilter:
    """Which explanations to list; what is empty or None does not filter."""

    sae: str
    latents: ArrayLike | None
    explainer: str
    scorer: str
    min_score: float | None
    max_score: float | None
    job: str


def list_explanations(only: ExplanationFilter) -> Pages[i.Explanation]:
    """ListExplanations."""
    latents = [] if only.latents is None else _ids(only.latents)
    bounds = _given(min_score=only.min_score, max_score=only.max_score)
    return Pages(
        _SERVICE,
        "ListExplanations",
        lambda token: explanation_pb2.ListExplanationsRequest(
            sae=only.sae,
            latents=latents,
            explainer=only.explainer,
            scorer=only.scorer,
            job=only.job,
            page_token=token,
            **bounds,
        ),
        lambda reply: map(i.Explanation._from_pb, reply.explanations),
    )


def search_explanations(query: str, sae: str, limit: int, mode: SearchMode) -> Call[list[i.Explanation]]:
    """SearchExplanations."""
    name = "unspecified" if mode == "auto" else mode
    request = explanation_pb2.SearchExplanationsRequest(
        query=query, sae=sae, limit=limit, mode=_enum(explanation_pb2.SearchMode, "SEARCH_MODE", name)
    )
    return Call(
        _SERVICE,
        "SearchExplanations",
        request,
        lambda reply: [i.Explanation._from_pb(explanation) for explanation in reply.explanations],
    )


def create_explanation(sae: str, latent: int, text: str, author: str) -> Call[i.Explanation]:
    """CreateExplanation."""
    request = explanation_pb2.CreateExplanationRequest(sae=sae, latent=latent, text=text, author=author)
    return Call(_SERVICE, "CreateExplanation", request, i.Explanation._from_pb, retry=False)


def delete_explanation(name: str) -> Call[None]:
    """DeleteExplanation."""
    request = explanation_pb2.DeleteExplanationRequest(name=name)
    return Call(_SERVICE, "DeleteExplanation", request, lambda reply: None, retry=False)


def get_score(name: str) -> Call[i.Score]:
    """GetScore."""
    return Call(_SERVICE, "GetScore", explanation_pb2.GetScoreRequest(name=name), i.Score._from_pb)


def export_explanations(sae: str, job: str, form: ExportForm) -> Any:
    """The request of ExportExplanations."""
    kind: Any = explanation_pb2.ExportExplanationsRequest.Form
    return explanation_pb2.ExportExplanationsRequest(sae=sae, job=job, form=_kind(kind, form))


def job_summary(name: str) -> Call[i.JobSummary]:
    """GetJobSummary."""
    request = explanation_pb2.GetJobSummaryRequest(name=name)
    return Call(_SERVICE, "GetJobSummary", request, i.JobSummary._from_pb)


@dataclass(frozen=True)
class ProviderOptions:
    """Where a provider is reached: an endpoint by `url` and `model`, or a resident model by `local`."""

    url: str
    model: str
    key: str
    local: str
    limits: r.Limits | None
    prices: r.Prices | None
    probe: bool


def create_provider(provider_id: str, options: ProviderOptions) -> Call[i.Provider]:
    """CreateProvider."""
    if bool(options.url) == bool(options.local):
        raise ValueError("give url and model of an endpoint, or local, a resident model")
    if options.local and (options.model or options.key):
        raise ValueError("model and key are for an endpoint")
    if options.key and not options.key.startswith(("env:", "file:")):
        # The text is not repeated: it may be the key.
        raise ValueError("key says where the server finds it: `env:NAME` or `file:/path`; a key itself is never sent")
    limits, prices = options.limits or r.Limits(), options.prices or r.Prices()
    provider = provider_pb2.Provider(
        kind=provider_pb2.Provider.LOCAL if options.local else provider_pb2.Provider.OPENAI,
        base_url=options.url,
        model=options.local or options.model,
        key_source=options.key,
        limits=provider_pb2.ProviderLimits(**vars(limits)),
        prices=provider_pb2.ProviderPrices(**vars(prices)),
    )
    request = provider_pb2.CreateProviderRequest(
        provider_id=provider_id, provider=provider, skip_probe=not options.probe
    )
    return Call(_PROVIDERS, "CreateProvider", request, i.Provider._from_pb)


def get_provider(name: str) -> Call[i.Provider]:
    """GetProvider."""
    return Call(_PROVIDERS, "GetProvider", provider_pb2.GetProviderRequest(name=name), i.Provider._from_pb)


def list_providers() -> Pages[i.Provider]:
    """ListProviders."""
    return Pages(
        _PROVIDERS,
        "ListProviders",
        lambda token: provider_pb2.ListProvidersRequest(page_token=token),
        lambda reply: map(i.Provider._from_pb, reply.providers),
    )


def probe_provider(name: str) -> Call[i.Provider]:
    """ProbeProvider."""
    return Call(_PROVIDERS, "ProbeProvider", provider_pb2.ProbeProviderRequest(name=name), i.Provider._from_pb)


def delete_provider(name: str) -> Call[None]:
    """DeleteProvider."""
    request = provider_pb2.DeleteProviderRequest(name=name)
    return Call(_PROVIDERS, "DeleteProvider", request, lambda reply: None, retry=False)
