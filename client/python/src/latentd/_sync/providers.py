"""Calls about providers of language models."""

from __future__ import annotations

from collections.abc import Iterator

from .. import _calls as calls
from .. import _requests as r
from .. import _types as t
from .connection import Connection


class ProviderCalls(Connection):
    """Language models that jobs may ask."""

    def create_provider(
        self,
        provider_id: str,
        *,
        url: str = "",
        model: str = "",
        key: str = "",
        local: str = "",
        limits: r.Limits | None = None,
        prices: r.Prices | None = None,
        probe: bool = True,
    ) -> t.Provider:
        """Registers a provider, or replaces the one of that id, and finds out what it can do.

        It is an endpoint of OpenAI's API, by `url` and `model`, or with `local` a model that is resident in the server.
        `key` says where the server finds the key, as `env:NAME` or `file:/path`; a key itself is never sent.
        """
        options = calls.ProviderOptions(url, model, key, local, limits, prices, probe)
        return self._call(calls.create_provider(provider_id, options))

    def providers(self) -> Iterator[t.Provider]:
        """Providers, by name."""
        return self._pages(calls.list_providers())

    def provider(self, name: str) -> t.Provider:
        """One provider."""
        return self._call(calls.get_provider(name))

    def probe_provider(self, name: str) -> t.Provider:
        """Asks a provider again what it can do."""
        return self._call(calls.probe_provider(name))

    def delete_provider(self, name: str) -> None:
        """Forgets a provider; exchanges with it stay stored."""
        self._call(calls.delete_provider(name))
