"""What all results share: equality and hashes that know arrays, a short `repr`, and how fields are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any, TypeVar, cast, overload

import numpy as np
from google.protobuf import timestamp_pb2
from numpy.typing import NDArray

from .. import _errors

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

R = TypeVar("R", covariant=True)
S = TypeVar("S", bound="Results[Any]")

LONGEST = 60
"""Characters of a text that a `repr` shows."""


class Record:
    """Base of the results, which are `dataclass(frozen=True, eq=False, repr=False)`.

    Two records are equal if they are of one class and all their fields are; arrays are compared as a whole, and NaN
    equals NaN. Equal records have equal hashes.
    """

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(_same(getattr(self, name), getattr(other, name)) for name in self._compared())

    def __hash__(self) -> int:
        return hash((type(self).__name__, *(_key(getattr(self, name)) for name in self._compared())))

    def __repr__(self) -> str:
        shown = [field.name for field in fields(cast(Any, self)) if field.repr]
        parts = [f"{name}={_short(value)}" for name in shown if not _empty(value := getattr(self, name))]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _compared(self) -> list[str]:
        return [field.name for field in fields(cast(Any, self)) if field.compare]


class Results(Sequence[R]):
    """Results that were read to the end, to look at: a table in a notebook, a line each elsewhere."""

    def __init__(self, results: Iterable[R]) -> None:
        self._results = tuple(results)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self: S, index: slice) -> S: ...
    def __getitem__(self: S, index: int | slice) -> R | S:
        return type(self)(self._results[index]) if isinstance(index, slice) else self._results[index]

    def __len__(self) -> int:
        return len(self._results)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(self._results == cast(Any, other)._results)

    def __hash__(self) -> int:
        return hash(self._results)

    def __repr__(self) -> str:
        return f"<{len(self)} {type(self).__name__}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if type(a) is not type(b):
        return type(a) in (int, float) and type(b) in (int, float) and bool(a == b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, _errors.LatentdError):
        return _same(vars(a), vars(b))
    return bool(a == b or (a != a and b != b))


def _key(value: Any) -> Any:
    """Something hashable that is equal for equal values."""
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, tuple | list):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return frozenset((key, _key(item)) for key, item in value.items())
    if isinstance(value, _errors.LatentdError):
        return (value.code, value.message, value.reason)
    return "nan" if value != value else value


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | tuple | dict) and not value)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, tuple | dict) and len(value) > 3:
        return f"<{len(value)}>"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, str):
        return repr(cut(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def cut(text: str, longest: int = LONGEST) -> str:
    """The text on one line, and no longer than `longest` characters."""
    line = text.replace("\n", "⏎")
    return line if len(line) <= longest else line[: longest - 1] + "…"


def count(number: int, one: str, many: str = "") -> str:
    """`1 prompt`, `2 prompts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def time_of(stamp: timestamp_pb2.Timestamp) -> datetime | None:
    """The time; None if it is not set."""
    if not stamp.seconds and not stamp.nanos:
        return None
    return datetime.fromtimestamp(stamp.seconds + stamp.nanos / 1e9, tz=timezone.utc)


def array(values: Sequence[Any], dtype: Any) -> NDArray[Any]:
    """A repeated field as an array."""
    return np.fromiter(values, dtype=dtype, count=len(values))


def unpacked(values: Sequence[Any], packed: bytes, dtype: Any) -> NDArray[Any]:
    """Numbers that a reply holds as bytes, or in a repeated field where the server does not know the other."""
    if not packed:
        return array(values, dtype)
    little: NDArray[Any] = np.frombuffer(packed, dtype=np.dtype(dtype).newbyteorder("<"))
    return little.astype(dtype)


def optional(pb: Any, name: str) -> Any:
    """The field, or None if it is not set."""
    return getattr(pb, name) if pb.HasField(name) else None


def column(rows: Sequence[Any], name: str, missing: Any, dtype: Any) -> NDArray[Any]:
    """A field of all rows; `missing` where it is not set."""
    values = (getattr(row, name) if row.HasField(name) else missing for row in rows)
    return np.fromiter(values, dtype=dtype, count=len(rows))
