"""Calls about providers of language models."""

from __future__ import annotations

from dataclasses import dataclass

from .. import _requests as r
from .. import _types as t
from ..v1 import provider_pb2, provider_pb2_grpc
from .call import Call, Pages

_PROVIDERS = provider_pb2_grpc.ProviderServiceStub


@dataclass(frozen=True, eq=False)
class ProviderOptions:
    """Where a provider is reached: an endpoint by `url` and `model`, or a resident model by `local`."""

    url: str
    model: str
    key: str
    local: str
    limits: r.Limits | None
    prices: r.Prices | None
    probe: bool


def create_provider(provider_id: str, options: ProviderOptions) -> Call[t.Provider]:
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
    return Call(_PROVIDERS, "CreateProvider", request, t.Provider._from_pb)


def get_provider(name: str) -> Call[t.Provider]:
    """GetProvider."""
    return Call(_PROVIDERS, "GetProvider", provider_pb2.GetProviderRequest(name=name), t.Provider._from_pb)


def list_providers() -> Pages[t.Provider]:
    """ListProviders."""
    return Pages(
        _PROVIDERS,
        "ListProviders",
        lambda token: provider_pb2.ListProvidersRequest(page_token=token),
        lambda reply: map(t.Provider._from_pb, reply.providers),
    )


def probe_provider(name: str) -> Call[t.Provider]:
    """ProbeProvider."""
    return Call(_PROVIDERS, "ProbeProvider", provider_pb2.ProbeProviderRequest(name=name), t.Provider._from_pb)


def delete_provider(name: str) -> Call[None]:
    """DeleteProvider."""
    request = provider_pb2.DeleteProviderRequest(name=name)
    return Call(_PROVIDERS, "DeleteProvider", request, lambda reply: None, retry=False)
