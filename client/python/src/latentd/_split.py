"""Cuts an encode or a decode that is over the server's limits into several calls, and joins what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from . import _types as t
from ._calls import Prompt
from ._errors import LatentdError, Violation

_BYTES_A_TOKEN = 2
"""Most texts have more bytes a token. A batch that is too large all the same is cut again."""


def listed(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The prompts as a list; a single text is not a sequence of prompts."""
    if isinstance(prompts, str):
        raise TypeError("prompts is a sequence of prompts; wrap a single one in a list")
    return list(prompts)


def prompts(prompts: Sequence[Prompt], limits: dict[str, int]) -> list[slice]:
    """Cuts prompts so that each part is likely to be within the limits; there is at least one part."""
    cuts, tokens, size, first = [], 0, 0, 0
    for index, prompt in enumerate(prompts):
        length = len(prompt.encode()) if isinstance(prompt, str) else 5 * np.size(prompt)
        about = length // _BYTES_A_TOKEN + 1 if isinstance(prompt, str) else np.size(prompt)
        full = (
            index - first >= _limit(limits, "max_prompts")
            or tokens + about > _limit(limits, "max_tokens")
            or size + length > _limit(limits, "max_message_bytes") // 2
        )
        if full and index > first:
            cuts.append(slice(first, index))
            tokens, size, first = 0, 0, index
        tokens, size = tokens + about, size + length
    return [*cuts, slice(first, len(prompts))]


def _limit(limits: dict[str, int], name: str) -> int:
    return limits.get(name) or 1 << 62


def again(part: slice, error: LatentdError) -> list[slice]:
    """The two halves of a part that is too large; raises `error` if it is something else, or if there is no half."""
    of_size = not error.violations or any(v.field.startswith(("prompts", "row_offsets")) for v in error.violations)
    if error.reason != "BATCH_TOO_LARGE" or not of_size or part.stop - part.start < 2:
        raise _moved(error, part.start) from None
    middle = (part.start + part.stop) // 2
    return [slice(part.start, middle), slice(middle, part.stop)]


def _moved(error: LatentdError, first: int) -> LatentdError:
    """The error with the numbers that prompts have in the whole call."""
    error.violations = tuple(Violation(_numbered(v.field, first), v.description) for v in error.violations)
    return error


def _numbered(field: str, first: int) -> str:
    head, bracket, rest = field.partition("[")
    number, end, tail = rest.partition("]")
    if head != "prompts" or not (bracket and end and number.isdigit()):
        return field
    return f"prompts[{int(number) + first}]{tail}"


def join(results: Sequence[Sequence[t.Encoded]]) -> list[t.Encoded]:
    """One result for each SAE of what several calls answered."""
    return [_join(pieces) if len(pieces) > 1 else pieces[0] for pieces in zip(*results, strict=True)]


def _join(pieces: Sequence[t.Encoded]) -> t.Encoded:
    cost = t.Cost(*(sum(getattr(p.cost, name) for p in pieces) for name in t.Cost.__dataclass_fields__))
    return replace(
        pieces[0],
        prompts=tuple(prompt for piece in pieces for prompt in piece.prompts),
        prompt_offsets=_offsets(piece.prompt_offsets for piece in pieces),
        row_offsets=_offsets(piece.row_offsets for piece in pieces),
        latents=np.concatenate([piece.latents for piece in pieces]),
        activations=np.concatenate([piece.activations for piece in pieces]),
        cost=cost,
    )


def _offsets(pieces: Iterable[t.Int32]) -> t.Int32:
    counts = np.concatenate([np.diff(offsets) for offsets in pieces])
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"{offsets[-1]} activations are too many for one result; encode fewer prompts at once")
    return offsets.astype(np.int32)


def rows(total: int, limits: dict[str, int]) -> list[slice]:
    """Cuts rows of a decode so that no part has more than the server takes; there is at least one part."""
    step = _limit(limits, "max_tokens")
    return [slice(first, min(first + step, total)) for first in range(0, total, step)] or [slice(0, 0)]
