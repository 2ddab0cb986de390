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
    LatentdError,
    NotFoundError,
    PreconditionError,
    ResourceExhaustedError,
    TimedOutError,
    UnavailableError,
    Violation,
)
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
    StreamResult,
    Tokens,
)

__all__ = [
    "AsyncClient",
    "Cache",
    "CachedSae",
    "CancelledError",
    "Client",
    "ConflictError",
    "Cost",
    "Encoded",
    "Example",
    "InternalError",
    "InvalidRequestError",
    "Job",
    "Latent",
    "LatentStats",
    "LatentdError",
    "Model",
    "NotFoundError",
    "PreconditionError",
    "Progress",
    "ResourceExhaustedError",
    "Sae",
    "SelfTest",
    "ServerInfo",
    "StreamResult",
    "TimedOutError",
    "Tokens",
    "UnavailableError",
    "Violation",
]

__version__ = "0.1.0"
