"""The client."""

from __future__ import annotations

from .activations import ActivationCalls
from .caches import CacheCalls
from .explanations import ExplanationCalls
from .jobs import JobCalls
from .models import ModelCalls
from .providers import ProviderCalls


class Client(ModelCalls, ActivationCalls, CacheCalls, ExplanationCalls, ProviderCalls, JobCalls):
    """A connection to a latentd server.

    `address` is `host:port`, `http://host:port`, or a host alone, whose port is then 50051. `timeout` bounds each call
    that is not a stream, in seconds. Calls that may be repeated without harm are tried up to `retries` times more when
    the server cannot be reached or its queue is full.
    """
