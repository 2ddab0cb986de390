"""UploadCorpus: the caller's documents as messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import grpc

from .. import _errors
from ..v1 import cache_pb2

MESSAGE_CHARACTERS = 1 << 20
"""Text at which a message is full."""
UPLOAD_FAILURES = (grpc.RpcError, asyncio.CancelledError)
"""What an upload that failed raises."""


class Upload:
    """The messages of an upload: documents in their order, many in each message.

    gRPC hides what goes wrong in the caller's iterable and cancels the call; `failure` finds it again.
    """

    def __init__(self, documents: Iterable[str]) -> None:
        if isinstance(documents, str):
            raise TypeError("documents is one str; a list of documents is needed")
        self._error: Exception | None = None
        self._documents = documents

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._messages()
        except Exception as error:
            self._error = error
            raise

    def failure(self, error: BaseException) -> BaseException:
        """Why the call failed."""
        if self._error is not None:
            return self._error
        return _errors.from_rpc_error(error) if isinstance(error, grpc.RpcError) else error

    def _messages(self) -> Iterator[Any]:
        batch: list[str] = []
        size = 0
        for number, document in enumerate(self._documents):
            if not isinstance(document, str):
                raise TypeError(f"document {number} is {type(document).__name__}, not str")
            batch.append(document)
            size += len(document) + 16
            if size >= MESSAGE_CHARACTERS:
                yield cache_pb2.UploadCorpusRequest(documents=batch)
                batch, size = [], 0
        if batch:
            yield cache_pb2.UploadCorpusRequest(documents=batch)
