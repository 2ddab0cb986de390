"""Makes a record of any exported class, filled by the types of its fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import datetime, timezone
from typing import Any

import grpc
import numpy as np

import latentd


def exported() -> list[type]:
    """Every dataclass that the package exports."""
    found = [getattr(latentd, name) for name in latentd.__all__]
    return [kind for kind in found if isinstance(kind, type) and "__dataclass_fields__" in vars(kind)]


def make(kind: type, number: int = 1) -> Any:
    """A record with values that differ with `number`."""
    hints = typing.get_type_hints(kind)
    return kind(**{field.name: value(hints[field.name], number) for field in dataclasses.fields(kind)})


def value(hint: Any, number: int) -> Any:
    """A value of a type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return value(next(a for a in arguments if a is not type(None)), number)
    if origin is typing.Literal:
        return arguments[number % len(arguments)]
    if origin is np.ndarray:
        return np.arange(3).astype(typing.get_args(arguments[1])[0]) + np.array(number).astype(bool) * number
    if origin is tuple:
        kinds = arguments[:1] * 2 if arguments[-1] is Ellipsis else arguments
        return tuple(value(kind, number) for kind in kinds)
    if origin is list:
        return [value(arguments[0], number)]
    if origin is dict:
        return {value(arguments[0], number): value(arguments[1], number)}
    if hint is Any:
        return number
    if dataclasses.is_dataclass(hint):
        return make(hint, number)
    plain = {
        str: f"text {number}",
        int: number,
        float: number + 0.5,
        bool: number % 2 == 0,
        datetime: datetime(2026, 1, 1 + number, tzinfo=timezone.utc),
        latentd.LatentdError: latentd.NotFoundError(grpc.StatusCode.NOT_FOUND, f"error {number}"),
    }
    return plain[hint]
