"""What a job that explains and scores is asked for, and how a provider is bounded and priced.

Everything that is left at its default is left to the server, which has defaults of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExplainerKind = Literal[
    "default", "single_token", "contrastive", "max_act_logits", "top_tokens", "completion", "none", "random_baseline"
]
ScorerKind = Literal[
    "detection",
    "fuzzing",
    "fuzzing_active",
    "simulation",
    "simulation_json",
    "surprisal",
    "embedding",
    "example_embedding",
    "intruder",
]
Calibration = Literal["uncalibrated", "linear", "percentile"]
Sampler = Literal["top", "random", "quantiles", "mix"]
NonActivating = Literal[
    "random_windows", "neighbours_co_occurrence", "neighbours_encoder", "neighbours_decoder", "similar_text"
]


@dataclass(frozen=True)
class Explainer:
    """Writes explanations.

    `default` shows examples with the strong tokens marked and their activations from 0 to 10, `single_token` marks only
    the strongest token of each, `contrastive` adds examples on which the latent does not fire, `max_act_logits` adds
    the tokens that the latent promotes. `top_tokens` asks nobody: the words at the peaks of the strongest examples with
    their share. `completion` has a base or small model continue these words with their theme; its provider must give
    the log-probabilities of given text. `none` scores the explanations that exist, `random_baseline` takes another
    latent's.
    """

    kind: ExplainerKind = "default"
    provider: str = ""
    """`{provider}`; that of the call if empty."""
    threshold: float | None = None
    """Tokens are marked from this share of the highest activation of their example."""
    chain_of_thought: bool = False
    """Ask the provider to reason before it answers."""
    temperature: float = 0.0
    """Sampling temperature; 0 takes the likeliest token each time."""
    max_tokens: int = 0
    """Longest answer, in tokens, thinking included; the provider's if 0."""


@dataclass(frozen=True)
class Scorer:
    """Grades explanations."""

    kind: ScorerKind
    provider: str = ""
    """`{provider}`; that of the call if empty. Not used by `embedding` and `example_embedding`."""
    examples_per_prompt: int = 0
    """Examples in one prompt, with detection, fuzzing and intruder; 5 if 0."""
    calibration: Calibration | None = None
    """How a simulation is brought to the scale of the latent."""
    threshold: float | None = None
    """Tokens are marked from this share of the highest activation of their example, with fuzzing."""
    temperature: float = 0.0
    """Sampling temperature."""
    encoder: str = ""
    """Resident sentence encoder of `embedding` and `example_embedding`; the only one if empty."""
    max_tokens: int = 0
    """Longest answer, in tokens, thinking included; the provider's if 0."""


@dataclass(frozen=True)
class ExamplePlan:
    """How examples are drawn from a cache. What is shown to an explainer is never shown to a scorer."""

    n_train: int = 0
    """Examples for the explainer; 40 if 0."""
    n_test: int = 0
    """Examples on which the latent fires, for scorers; 50 if 0."""
    n_non_activating: int = 0
    """Examples on which it does not fire, for scorers; 50 if 0."""
    n_quantiles: int = 0
    """Quantiles that examples are drawn from; 10 if 0."""
    train_sampler: Sampler | None = None
    """How the explainer's examples are drawn; if None from quantiles, the strongest with `top_tokens`, `completion`."""
    ratio_top: float | None = None
    """Share of the strongest with sampler `mix`."""
    non_activating: NonActivating | None = None
    """Where examples on which the latent does not fire come from; anywhere if None."""
    window: int = 0
    """Tokens of an example; 32 if 0."""
    centring: Literal["peak", "grid", "middle"] = "peak"
    """Where the window lies around its peak."""
    min_examples: int | None = None
    """Latents with fewer examples are left out. If None 10, or half of what is to be shown where that is less."""
    seed: int = 0
    """Seed of random choices. The same seed over the same cache gives the same examples."""


@dataclass(frozen=True)
class Budget:
    """What a job may spend; 0 for no limit. When any of it is spent the job pauses."""

    calls: int = 0
    """Calls of providers."""
    tokens: int = 0
    """Tokens of prompts and answers together."""
    dollars: float = 0.0
    """US dollars, by the providers' prices."""


@dataclass(frozen=True)
class Limits:
    """What may be asked of a provider, by all servers on one database together; 0 takes the server's default."""

    max_in_flight: int = 0
    """Calls under way at once; 64 if 0, for a local model 8."""
    requests_per_minute: int = 0
    """Calls a minute; no limit if 0."""
    tokens_per_minute: int = 0
    """Tokens a minute, prompts and answers together; no limit if 0."""
    timeout_seconds: int = 0
    """Seconds that one call may take; 600 if 0."""
    max_tokens: int = 0
    """Longest answer of one call, in tokens, thinking included; 4096 if 0, for a local model 512."""


@dataclass(frozen=True)
class Prices:
    """Prices of a provider, in US dollars for a million tokens."""

    prompt_per_million: float = 0.0
    completion_per_million: float = 0.0
