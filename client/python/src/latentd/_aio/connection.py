"""A connection, and how calls are made on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TypeVar

import grpc
import grpc.aio

from .. import _calls as calls
from .. import _errors

T = TypeVar("T")
S = TypeVar("S", bound="AsyncConnection")


class AsyncConnection:
    """What all calls share."""

    def __init__(self, address: str = "localhost:50051", *, timeout: float | None = None, retries: int = 4) -> None:
        self._address = calls.target(address)
        self._channel = grpc.aio.insecure_channel(self._address, options=calls.CHANNEL_OPTIONS)
        self._timeout = timeout
        self._retries = retries
        self._known_limits: dict[str, int] | None = None

    async def __aenter__(self: S) -> S:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._address}>"

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def _call(self, call: calls.Call[T]) -> T:
        method = getattr(call.stub(self._channel), call.method)
        attempt = 0
        while True:
            try:
                return call.read(await method(call.request, timeout=self._timeout))
            except grpc.RpcError as raised:
                error = _errors.from_rpc_error(raised)
                pause = _errors.pause_before_retry(error, attempt)
                if pause is None or not call.retry or attempt >= self._retries:
                    raise error from None
                attempt += 1
                await asyncio.sleep(pause)

    async def _pages(self, pages: calls.Pages[T]) -> AsyncIterator[T]:
        token = ""
        while True:
            items, token = await self._call(pages.call(token))
            for item in items:
                yield item
            if not token:
                return

    async def _limits(self) -> dict[str, int]:
        """The limits of the server, which are asked for once."""
        if self._known_limits is None:
            self._known_limits = (await self._call(calls.server_info())).limits
        return self._known_limits
