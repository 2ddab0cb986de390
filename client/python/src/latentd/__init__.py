"""A typed client of latentd, the gRPC server for sparse-autoencoder work on language models.

Shapes are written `[tokens, d_sae]` and the like; names such as `smollm2-135m/l9` are `{model}/{sae}`.
"""

from ._aio import AsyncClient
from ._client import Client
from ._errors import (
    CancelledError,
    ConflictError,
    InternalError,
    InvalidRequestError,
    JobPausedError,
    LatentdError,
    NotFoundError,
    PreconditionError,
    ResourceExhaustedError,
    TimedOutError,
    UnavailableError,
    Violation,
)
from ._interp import (
    Explanation,
    JobSummary,
    Provenance,
    Provider,
    Score,
    ScoreExamples,
    ScorerSummary,
)
from ._requests import Budget, ExamplePlan, Explainer, Limits, Prices, Scorer
from ._types import (
    Cache,
    CachedSae,
    Cost,
    Encoded,
    Example,
    Job,
    Latent,
    LatentStats,
    Model,
    Progress,
    Sae,
    SelfTest,
    ServerInfo,
    Spent,
    StreamResult,
    Tokens,
)

__all__ = [
    "AsyncClient",
    "Budget",
    "Cache",
    "CachedSae",
    "CancelledError",
    "Client",
    "ConflictError",
    "Cost",
    "Encoded",
    "Example",
    "ExamplePlan",
    "Explainer",
    "Explanation",
    "InternalError",
    "InvalidRequestError",
    "Job",
    "JobPausedError",
    "JobSummary",
    "Latent",
    "LatentStats",
    "LatentdError",
    "Limits",
    "Model",
    "NotFoundError",
    "PreconditionError",
    "Prices",
    "Progress",
    "Provenance",
    "Provider",
    "ResourceExhaustedError",
    "Sae",
    "Score",
    "ScoreExamples",
    "Scorer",
    "ScorerSummary",
    "SelfTest",
    "ServerInfo",
    "Spent",
    "StreamResult",
    "TimedOutError",
    "Tokens",
    "UnavailableError",
    "Violation",
]

__version__ = "0.1.0"
