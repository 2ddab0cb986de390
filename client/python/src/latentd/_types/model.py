"""Resident language models, and the tokens of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._extras import frame
from ..v1 import activation_pb2, model_pb2
from .record import Int32, Record, array, cut


@dataclass(frozen=True, eq=False, repr=False)
class Model(Record):
    """A resident language model."""

    name: str
    family: str
    path: str
    format: str
    digest: str
    dtype: str
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_mlp: int
    vocab: int
    context_length: int
    parameters: int
    resident_bytes: int
    hook_points: tuple[str, ...]
    bos_token_id: int | None
    eos_token_id: int | None

    @classmethod
    def _from_pb(cls, pb: model_pb2.Model) -> Model:
        plain = {
            name: getattr(pb, name)
            for name in cls.__dataclass_fields__
            if name not in ("hook_points", "bos_token_id", "eos_token_id")
        }
        return cls(
            **plain,
            hook_points=tuple(pb.hook_points),
            bos_token_id=pb.bos_token_id if pb.HasField("bos_token_id") else None,
            eos_token_id=pb.eos_token_id if pb.HasField("eos_token_id") else None,
        )

    def __repr__(self) -> str:
        size = f"{self.parameters / 1e6:.0f} M parameters"
        return (
            f"<Model {self.name}: {self.family}, {self.n_layers} layers, d_model {self.d_model}, {size}, {self.dtype}>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Tokens(Record):
    """Tokens of one text, in parallel arrays. `byte_ranges` is `[tokens, 2]`, in bytes of the text's UTF-8."""

    ids: Int32
    strings: tuple[str, ...]
    byte_ranges: Int32
    special: NDArray[np.bool_]

    @classmethod
    def _from_pb(cls, pb: model_pb2.TokenSequence | activation_pb2.EncodedPrompt) -> Tokens:
        ranges = np.stack([array(pb.byte_starts, np.int32), array(pb.byte_ends, np.int32)], axis=1)
        return cls(array(pb.ids, np.int32), tuple(pb.tokens), ranges, array(pb.special, np.bool_))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<Tokens {len(self)}: {cut(' '.join(map(repr, self.strings)))}>"

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each token."""
        columns = {"id": self.ids, "token": self.strings, "special": self.special}
        # Token ids have no text that they would lie in.
        ranges = self.byte_ranges if len(self.byte_ranges) == len(self) else np.full((len(self), 2), -1, np.int32)
        return frame({**columns, "byte_start": ranges[:, 0], "byte_end": ranges[:, 1]})
