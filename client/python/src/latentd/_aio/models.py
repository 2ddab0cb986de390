"""Calls about the server, its models and its SAEs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, cast

from .. import _calls as calls
from .. import _types as t
from .connection import AsyncConnection
from .handle import AsyncSaeHandle

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncModelCalls(AsyncConnection):
    """What is resident."""

    async def server_info(self) -> t.ServerInfo:
        """Versions, device, limits, and what the server supports."""
        return await self._call(calls.server_info())

    def models(self) -> AsyncIterator[t.Model]:
        """Resident models, by name."""
        return self._pages(calls.list_models())

    async def model(self, name: str) -> t.Model:
        """One resident model."""
        return await self._call(calls.get_model(name))

    async def load_model(self, model_id: str, path: str, *, dtype: str = "") -> t.Model:
        """Makes a model resident, from a Hugging Face folder or GGUF file on the server's disk."""
        return await self._call(calls.load_model(model_id, path, dtype))

    async def unload_model(self, name: str, *, force: bool = False) -> int:
        """Removes a model, and with `force` its SAEs; returns the bytes given back."""
        return await self._call(calls.unload_model(name, force))

    async def tokenize(self, model: str, texts: Sequence[str], *, prepend_bos: bool | None = None) -> list[t.Tokens]:
        """The tokens that encode would see, for each text."""
        return await self._call(calls.tokenize(model, texts, prepend_bos))

    async def saes(self, model: str | None = None) -> AsyncIterator[AsyncSaeHandle]:
        """Resident SAEs, of one model or of all."""
        async for sae in self._pages(calls.list_saes(model)):
            yield self._bound(sae)

    async def sae(self, name: str) -> AsyncSaeHandle:
        """One resident SAE, with the report of its self-test, and with calls of its own such as `encode`."""
        return self._bound(await self._call(calls.get_sae(name)))

    async def load_sae(
        self, model: str, sae_id: str, path: str, *, norm_scaling_factor: float | None = None, hook_point: str = ""
    ) -> AsyncSaeHandle:
        """Makes an SAE resident beside its model, from a SAELens folder on the server's disk."""
        call = calls.load_sae(model, sae_id, path, norm_scaling_factor=norm_scaling_factor, hook_point=hook_point)
        return self._bound(await self._call(call))

    async def unload_sae(self, name: str) -> int:
        """Removes an SAE; returns the bytes given back."""
        return await self._call(calls.unload_sae(name))

    async def latent(self, sae: str, latent: int, *, count: int = 10) -> t.Latent:
        """Norms of a latent, the tokens it promotes and suppresses, and its nearest latents."""
        return await self._call(calls.get_latent(sae, latent, count))

    def _bound(self, sae: t.Sae) -> AsyncSaeHandle:
        return AsyncSaeHandle._of(cast("AsyncClient", self), sae)
