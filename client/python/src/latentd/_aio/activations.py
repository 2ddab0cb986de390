"""Calls about activations of prompts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeVar

import grpc
import numpy as np
from numpy.typing import ArrayLike

from .. import _calls as calls
from .. import _errors
from .. import _split as split
from .. import _types as t
from ..v1 import activation_pb2_grpc
from .ahead import AsyncAhead
from .connection import AsyncConnection

T = TypeVar("T")


class AsyncActivationCalls(AsyncConnection):
    """Activations of prompts, now."""

    async def encode(
        self,
        prompts: Sequence[calls.Prompt],
        sae: str,
        *,
        top_k: int | None = None,
        latents: ArrayLike | None = None,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        scale: t.Scale = "raw",
    ) -> t.Encoded:
        """Encodes prompts, each a text or token ids, with one SAE.

        More prompts than the server takes at once are sent in several calls, and `cost` is then the sum of theirs.
        """
        options = calls.EncodeOptions([sae], top_k, latents, prepend_bos, special_tokens, scale)
        results = await self._encode(prompts, options)
        return results[0]

    async def encode_many(
        self,
        prompts: Sequence[calls.Prompt],
        saes: Sequence[str],
        *,
        top_k: int | None = None,
        latents: ArrayLike | None = None,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        scale: t.Scale = "raw",
    ) -> list[t.Encoded]:
        """Encodes prompts with several SAEs of one model in one pass; one result for each SAE."""
        options = calls.EncodeOptions(saes, top_k, latents, prepend_bos, special_tokens, scale)
        return await self._encode(prompts, options)

    async def encode_stream(
        self,
        batches: Iterable[Sequence[calls.Prompt]],
        sae: str,
        *,
        top_k: int | None = None,
        latents: ArrayLike | None = None,
        prepend_bos: bool | None = None,
        special_tokens: calls.SpecialTokens = "mask",
        scale: t.Scale = "raw",
    ) -> AsyncIterator[t.StreamResult]:
        """Encodes batches of prompts on one call, results in order; a batch that fails does not end the stream.

        Batches are taken as results are: at most 64 of them are under way.
        """
        options = calls.EncodeOptions([sae], top_k, latents, prepend_bos, special_tokens, scale)
        stub = activation_pb2_grpc.ActivationServiceStub(self._channel)
        requests = AsyncAhead(calls.encode_stream(batches, options))
        try:
            async for reply in stub.EncodeStream(requests):
                if reply.WhichOneof("event") == "result":
                    requests.answered()
                    yield t.StreamResult._from_pb(reply.result)
        except grpc.RpcError as error:
            raise _errors.from_rpc_error(error) from None
        finally:
            requests.close()

    async def decode(
        self,
        sae: str,
        row_offsets: ArrayLike,
        latents: ArrayLike,
        activations: ArrayLike,
        *,
        scale: t.Scale = "raw",
    ) -> t.Float32:
        """Turns compressed sparse rows of latents back into dense vectors, `[rows, d_in]`.

        More rows than the server takes at once are sent in several calls.
        """
        rows = calls.Rows.of(row_offsets, latents, activations)
        parts = split.rows(len(rows), await self._limits() if len(rows) > 1 else {})
        return np.concatenate(await self._in_parts(parts, lambda part: calls.decode(sae, rows[part], scale)))

    async def _encode(self, prompts: Sequence[calls.Prompt], options: calls.EncodeOptions) -> list[t.Encoded]:
        whole = split.listed(prompts)
        parts = split.prompts(whole, await self._limits() if len(whole) > 1 else {})
        results: list[list[t.Encoded]] = await self._in_parts(parts, lambda part: calls.encode(whole[part], options))
        return split.join(results)

    async def _in_parts(self, parts: list[slice], call: Callable[[slice], calls.Call[T]]) -> list[T]:
        """What the call of each part answers; a part that is too large for the server is cut again."""
        done = []
        while parts:
            part = parts.pop(0)
            try:
                done.append(await self._call(call(part)))
            except _errors.LatentdError as error:
                parts[:0] = split.again(part, error)
        return done
