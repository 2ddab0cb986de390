"""Calls about activations of prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _types as t
from .._types.record import unpacked
from ..v1 import activation_pb2, activation_pb2_grpc
from .call import Call, enum, given, ids

Prompt = str | Sequence[int] | NDArray[np.integer[Any]]
SpecialTokens = Literal["mask", "keep"]


def _prompt(prompt: Prompt) -> activation_pb2.Prompt:
    if isinstance(prompt, str):
        return activation_pb2.Prompt(text=prompt)
    return activation_pb2.Prompt(token_ids=activation_pb2.TokenIds(ids=ids(prompt)))


def _scale(scale: t.Scale) -> Any:
    return enum(activation_pb2.ActivationScale, scale, "ACTIVATION_SCALE")


def special(special_tokens: SpecialTokens) -> Any:
    return enum(activation_pb2.SpecialTokens, special_tokens, "SPECIAL_TOKENS")


@dataclass(frozen=True, eq=False)
class EncodeOptions:
    """What the encode calls share. At most one of `top_k` and `latents`; every latent that fires without them."""

    saes: Sequence[str]
    top_k: int | None
    latents: ArrayLike | None
    prepend_bos: bool | None
    special_tokens: SpecialTokens
    scale: t.Scale

    def request(self, prompts: Sequence[Prompt]) -> activation_pb2.EncodeRequest:
        """The request for a batch of prompts."""
        if isinstance(prompts, str):
            raise TypeError("prompts is a sequence of prompts; wrap a single one in a list")
        if self.top_k is not None and self.latents is not None:
            raise ValueError("give top_k or latents, not both")
        latents = None if self.latents is None else activation_pb2.LatentSet(latents=ids(self.latents))
        return activation_pb2.EncodeRequest(
            prompts=[_prompt(p) for p in prompts],
            saes=self.saes,
            special_tokens=special(self.special_tokens),
            scale=_scale(self.scale),
            packed=True,
            **given(prepend_bos=self.prepend_bos, top_k=self.top_k, latents=latents),
        )


def encode(prompts: Sequence[Prompt], options: EncodeOptions) -> Call[list[t.Encoded]]:
    """Encode."""
    stub = activation_pb2_grpc.ActivationServiceStub
    return Call(stub, "Encode", options.request(prompts), t.Encoded._from_pb)


def encode_stream(batches: Iterable[Sequence[Prompt]], options: EncodeOptions) -> Iterator[Any]:
    """The requests of an EncodeStream, numbered from 0."""
    for number, prompts in enumerate(batches):
        yield activation_pb2.EncodeStreamRequest(id=number, request=options.request(prompts))


@dataclass(frozen=True, eq=False)
class Rows:
    """Compressed sparse rows of latents, of which slices can be taken."""

    row_offsets: NDArray[np.int64]
    latents: NDArray[np.int64]
    activations: t.Float32

    @classmethod
    def of(cls, row_offsets: ArrayLike, latents: ArrayLike, activations: ArrayLike) -> Rows:
        """Rows of anything that numpy makes arrays of."""
        offsets, indices = (np.asarray(values).astype(np.int64).ravel() for values in (row_offsets, latents))
        return cls(offsets, indices, np.asarray(activations, dtype=np.float32).ravel())

    def __len__(self) -> int:
        return max(len(self.row_offsets) - 1, 0)

    def __getitem__(self, part: slice) -> Rows:
        if part.stop - part.start == len(self):
            return self
        offsets = self.row_offsets[part.start : part.stop + 1]
        entries = slice(int(offsets[0]), int(offsets[-1]))
        return Rows(offsets - offsets[0], self.latents[entries], self.activations[entries])


def decode(sae: str, rows: Rows, scale: t.Scale) -> Call[t.Float32]:
    """Decode."""
    request = activation_pb2.DecodeRequest(
        sae=sae,
        row_offsets=rows.row_offsets.tolist(),
        latents=rows.latents.tolist(),
        activations=rows.activations.tolist(),
        scale=_scale(scale),
        packed=True,
    )

    def read(reply: activation_pb2.DecodeResponse) -> t.Float32:
        return unpacked(reply.values, reply.packed_values, np.float32).reshape(reply.rows, reply.width)

    return Call(activation_pb2_grpc.ActivationServiceStub, "Decode", request, read)
