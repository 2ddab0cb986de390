"""The client."""

from __future__ import annotations

from .activations import AsyncActivationCalls
from .caches import AsyncCacheCalls
from .explanations import AsyncExplanationCalls
from .jobs import AsyncJobCalls
from .models import AsyncModelCalls
from .providers import AsyncProviderCalls


class AsyncClient(
    AsyncModelCalls, AsyncActivationCalls, AsyncCacheCalls, AsyncExplanationCalls, AsyncProviderCalls, AsyncJobCalls
):
    """A connection to a latentd server, for asyncio.

    `address` is `host:port`, `http://host:port`, or a host alone, whose port is then 50051. `timeout` bounds each call
    that is not a stream, in seconds. Calls that may be repeated without harm are tried up to `retries` times more when
    the server cannot be reached or its queue is full.
    """
