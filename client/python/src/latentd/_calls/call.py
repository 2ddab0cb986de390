"""How a call of the API is described: a stub and method, a request, and how to read the reply."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..v1 import activation_pb2, cache_pb2

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Call(Generic[T]):
    """One RPC with its request. Only calls that may be repeated without harm are tried again."""

    stub: Callable[[Any], Any]
    method: str
    request: Any
    read: Callable[[Any], T]
    retry: bool = True


@dataclass(frozen=True, eq=False)
class Pages(Generic[T]):
    """A List call: `page` makes the request for a page token, `items` reads a reply."""

    stub: Callable[[Any], Any]
    method: str
    page: Callable[[str], Any]
    items: Callable[[Any], Iterable[T]]

    def call(self, token: str) -> Call[tuple[list[T], str]]:
        """The call for one page, which returns its items and the next page's token."""
        return Call(
            self.stub, self.method, self.page(token), lambda reply: (list(self.items(reply)), reply.next_page_token)
        )


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are given; the server has its own defaults for the others."""
    return {name: value for name, value in fields.items() if value is not None}


def enum(kind: Any, name: str, prefix: str = "", unset: str = "") -> Any:
    """The value of an enum by its name, which is `PREFIX_NAME` in the API, or `unset` to leave it to the server.

    An unknown name is refused with a list of those that are allowed.
    """
    if unset and name == unset:
        return 0
    head = f"{prefix}_" if prefix else ""
    key = head + str(name).upper().replace("-", "_")
    allowed = [key for key in kind.keys() if not key.endswith("UNSPECIFIED")]
    if key not in allowed:
        known = [*([unset] if unset else []), *(key.removeprefix(head).lower() for key in allowed)]
        raise ValueError(f"{name!r} is none of {', '.join(known)}")
    return kind.Value(key)


def ids(values: ArrayLike) -> list[int]:
    numbers: list[int] = np.asarray(values).astype(np.int64).ravel().tolist()
    return numbers


def selector(latents: ArrayLike | range) -> dict[str, Any]:
    """The latents of a request: a range, or a list."""
    if isinstance(latents, range) and latents.step == 1:
        return {"range": cache_pb2.LatentRange(start=latents.start, end=latents.stop)}
    return {"latents": activation_pb2.LatentSet(latents=ids(latents))}
