"""Requests of a stream that do not run far ahead of the replies."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

LIMIT = 64
"""Requests that may be unanswered at once: enough to hide the way there and back."""


class Ahead(Generic[T]):
    """Passes requests on while fewer than `LIMIT` are unanswered.

    Without it the transport would take requests as fast as they are made, and hold them all.
    """

    def __init__(self, requests: Iterable[T]) -> None:
        self._requests = iter(requests)
        self._room = threading.Semaphore(LIMIT)
        self._closed = False

    def answered(self) -> None:
        """One request has its reply."""
        self._room.release()

    def close(self) -> None:
        """There are no more replies: whoever waits to send a request is let go."""
        self._closed = True
        self._room.release()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        self._room.acquire()
        if self._closed:
            raise StopIteration
        try:
            return next(self._requests)
        except StopIteration:
            raise StopIteration from None
