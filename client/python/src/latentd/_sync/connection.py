"""A connection, and how calls are made on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

import grpc

from .. import _calls as calls
from .. import _errors

T = TypeVar("T")
S = TypeVar("S", bound="Connection")


class Connection:
    """What all calls share."""

    def __init__(self, address: str = "localhost:50051", *, timeout: float | None = None, retries: int = 4) -> None:
        self._address = calls.target(address)
        self._channel = grpc.insecure_channel(self._address, options=calls.CHANNEL_OPTIONS)
        self._timeout = timeout
        self._retries = retries
        self._known_limits: dict[str, int] | None = None

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._address}>"

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _call(self, call: calls.Call[T]) -> T:
        method = getattr(call.stub(self._channel), call.method)
        attempt = 0
        while True:
            try:
                return call.read(method(call.request, timeout=self._timeout))
            except grpc.RpcError as raised:
                error = _errors.from_rpc_error(raised)
                pause = _errors.pause_before_retry(error, attempt)
                if pause is None or not call.retry or attempt >= self._retries:
                    raise error from None
                attempt += 1
                time.sleep(pause)

    def _pages(self, pages: calls.Pages[T]) -> Iterator[T]:
        token = ""
        while True:
            items, token = self._call(pages.call(token))
            yield from items
            if not token:
                return

    def _limits(self) -> dict[str, int]:
        """The limits of the server, which are asked for once."""
        if self._known_limits is None:
            self._known_limits = (self._call(calls.server_info())).limits
        return self._known_limits
