"""Activations of prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _errors
from .. import _html as html
from .._extras import frame, needed
from ..v1 import activation_pb2
from .model import Tokens
from .record import Float32, Int32, Record, count, cut, unpacked

Scale = Literal["raw", "decoder_norm"]

MAX_DENSITY = 0.1
"""Latents that fire on a larger share of tokens say little about a text."""
_PROMPTS, _LATENTS = 5, 5
"""Prompts, and latents of each, that a notebook shows of a result."""


@dataclass(frozen=True, eq=False, repr=False)
class Cost(Record):
    """What a call cost, in seconds and tokens; calls that shared a pass report the whole pass each."""

    queue_seconds: float
    compute_seconds: float
    tokens: int
    batch_tokens: int
    batch_requests: int

    @classmethod
    def _from_pb(cls, pb: activation_pb2.Cost) -> Cost:
        return cls(pb.queue_micros / 1e6, pb.compute_micros / 1e6, pb.tokens, pb.batch_tokens, pb.batch_requests)


@dataclass(frozen=True, eq=False, repr=False)
class Row(Record):
    """What fires on one token of encoded prompts, with the activation of each latent."""

    prompt: int
    position: int
    token_id: int
    token: str
    latents: Int32
    activations: Float32

    def __len__(self) -> int:
        """Number of latents that fire."""
        return len(self.latents)

    def __repr__(self) -> str:
        order = np.argsort(-self.activations, kind="stable")[:3]
        fires = ", ".join(f"{self.latents[i]}: {self.activations[i]:.3f}" for i in order)
        return f"<Row {self.prompt}:{self.position} {self.token!r}, {count(len(self), 'latent')}: {fires}>"

    def _repr_html_(self) -> str:
        order = np.argsort(-self.activations, kind="stable")[:10]
        rows = zip(self.latents[order].tolist(), self.activations[order].tolist(), strict=True)
        note = f"token {self.position} of prompt {self.prompt}, {count(len(self), 'latent')}"
        return html.page(html.title(repr(self.token), note), html.table(("latent", "activation"), rows))


@dataclass(frozen=True, eq=False, repr=False)
class Encoded(Record):
    """Prompts encoded with one SAE: compressed sparse rows, one row for each token of all prompts in order.

    Row `t` holds `latents[row_offsets[t]:row_offsets[t + 1]]` with the activation of each; the rows of prompt `p` are
    `prompt_offsets[p]` up to `prompt_offsets[p + 1]`.
    """

    sae: str
    hook_point: str
    d_sae: int
    prompts: tuple[Tokens, ...]
    prompt_offsets: Int32
    row_offsets: Int32
    latents: Int32
    activations: Float32
    scale: Scale
    model_digest: str
    sae_digest: str
    cost: Cost = field(compare=False)
    dense_latents: dict[int, float] = field(default_factory=dict)
    """Latents that fire on more than 2 % of the tokens of the SAE's self-test, with that share."""

    @classmethod
    def _from_pb(cls, pb: activation_pb2.EncodeResponse) -> list[Encoded]:
        prompts = tuple(Tokens._from_pb(p) for p in pb.prompts)
        offsets = np.cumsum([0, *(len(p) for p in prompts)], dtype=np.int32)
        return [
            cls(
                sae=a.sae,
                hook_point=a.hook_point,
                d_sae=a.d_sae,
                prompts=prompts,
                prompt_offsets=offsets,
                row_offsets=unpacked(a.row_offsets, a.packed_row_offsets, np.int32),
                latents=unpacked(a.latents, a.packed_latents, np.int32),
                activations=unpacked(a.activations, a.packed_activations, np.float32),
                scale="decoder_norm" if a.scale == activation_pb2.ACTIVATION_SCALE_DECODER_NORM else "raw",
                model_digest=pb.model_digest,
                sae_digest=a.sae_digest,
                cost=Cost._from_pb(pb.cost),
                dense_latents={dense.latent: dense.density for dense in a.dense_latents},
            )
            for a in pb.activations
        ]

    @property
    def tokens(self) -> tuple[tuple[str, ...], ...]:
        """The token strings of each prompt."""
        return tuple(p.strings for p in self.prompts)

    def __len__(self) -> int:
        """Number of tokens, all prompts together."""
        return max(len(self.row_offsets) - 1, 0)

    def __getitem__(self, token: int) -> Row:
        """What fires on one token, counted over all prompts; negative numbers count from the end."""
        token = self._place(token)
        prompt = int(np.searchsorted(self.prompt_offsets, token, side="right")) - 1
        position = token - int(self.prompt_offsets[prompt])
        tokens = self.prompts[prompt]
        return Row(prompt, position, int(tokens.ids[position]), tokens.strings[position], *self.row(token))

    def __iter__(self) -> Iterator[Row]:
        return (self[token] for token in range(len(self)))

    def row(self, token: int) -> tuple[Int32, Float32]:
        """Latents and activations of one token, counted over all prompts."""
        token = self._place(token)
        start, end = self.row_offsets[token], self.row_offsets[token + 1]
        return self.latents[start:end], self.activations[start:end]

    def prompt(self, index: int) -> Encoded:
        """The part of one prompt."""
        index = range(len(self.prompts))[index]
        first, last = int(self.prompt_offsets[index]), int(self.prompt_offsets[index + 1])
        start, end = int(self.row_offsets[first]), int(self.row_offsets[last])
        return replace(
            self,
            prompts=(self.prompts[index],),
            prompt_offsets=np.array([0, last - first], np.int32),
            row_offsets=self.row_offsets[first : last + 1] - np.int32(start),
            latents=self.latents[start:end],
            activations=self.activations[start:end],
        )

    def latent(self, latent: int) -> Float32:
        """Activation of one latent on every token, `[tokens]`."""
        column = np.zeros(len(self), dtype=np.float32)
        hits = self.latents == latent
        column[self._rows()[hits]] = self.activations[hits]
        return column

    def top(self, count: int = 10, *, max_density: float = MAX_DENSITY) -> Int32:
        """The strongest latents by their highest activation over all tokens, strongest first.

        Latents that fire on more than `max_density` of tokens are left out, as they would head every list; 1 leaves out
        none. Densities are those of the SAE's self-test, which tells those above 2 %.
        """
        peak = np.zeros(self.d_sae, dtype=np.float32)
        np.maximum.at(peak, self.latents, self.activations)
        peak[[latent for latent, density in self.dense_latents.items() if density > max_density]] = 0
        order = np.argsort(-peak, kind="stable")[:count]
        strongest: Int32 = order[peak[order] > 0].astype(np.int32)
        return strongest

    def to_dense(self) -> Float32:
        """All activations as `[tokens, d_sae]`, zeros where nothing fires."""
        dense = np.zeros((len(self), self.d_sae), dtype=np.float32)
        dense[self._rows(), self.latents] = self.activations
        return dense

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each activation: its prompt, position, token, latent and value."""
        rows = self._rows()
        prompts = np.repeat(np.arange(len(self.prompts)), np.diff(self.prompt_offsets))[rows]
        texts = np.array([text for prompt in self.prompts for text in prompt.strings], dtype=object)
        ids = np.concatenate([np.zeros(0, np.int32), *(prompt.ids for prompt in self.prompts)])
        columns = {"prompt": prompts, "position": rows - self.prompt_offsets[prompts], "token": texts[rows]}
        return frame({**columns, "token_id": ids[rows], "latent": self.latents, "activation": self.activations})

    def to_scipy(self) -> Any:
        """A scipy CSR array, `[tokens, d_sae]`."""
        sparse = needed("scipy.sparse", "scipy", "to_scipy()")
        rows = sparse.csr_array(self._csr(), shape=(len(self), self.d_sae))
        rows.sort_indices()
        return rows

    def to_torch(self) -> Any:
        """A torch sparse CSR tensor on the CPU, `[tokens, d_sae]`."""
        torch = needed("torch", "torch", "to_torch()")
        order = np.lexsort((self.latents, self._rows()))
        parts = (self.row_offsets, self.latents[order], self.activations[order])
        tensors = [torch.from_numpy(np.array(part)) for part in parts]
        return torch.sparse_csr_tensor(*tensors, size=(len(self), self.d_sae), check_invariants=True)

    def heat(self, latents: ArrayLike, prompt: int = 0) -> html.Fragment:
        """One prompt with the tokens warm where a latent fires, a line for each latent, to look at in a notebook."""
        part = self.prompt(prompt)
        tokens, lines, texts = part.prompts[0].strings, [], []
        for latent in np.atleast_1d(np.asarray(latents)).tolist():
            values = part.latent(latent)
            lines.append((latent, float(values.max(initial=0.0)), html.Raw(html.strip(tokens, values))))
            texts.append(f"{latent:>6} {values.max(initial=0.0):8.3f}  {_marked(tokens, values)}")
        return html.Fragment(html.page(html.table(("latent", "peak", "text"), lines)), "\n".join(texts))

    def __repr__(self) -> str:
        prompts, tokens = count(len(self.prompts), "prompt"), count(len(self), "token")
        return f"<Encoded {prompts}, {tokens}, {count(len(self.latents), 'activation')} of {self.sae}>"

    def _repr_html_(self) -> str:
        strips = [self.heat(self.prompt(p).top(_LATENTS), p)._repr_html_() for p in range(len(self.prompts[:_PROMPTS]))]
        more = len(self.prompts) - len(strips)
        rest = [html.note(f"and {count(more, 'prompt')} more")] if more else []
        return html.page(html.title(repr(self)[1:-1], "the strongest latents"), *strips, *rest)

    def _place(self, token: int) -> int:
        return range(len(self))[token]

    def _rows(self) -> NDArray[np.int64]:
        """The row of each activation."""
        return np.repeat(np.arange(len(self)), np.diff(self.row_offsets))

    def _csr(self) -> tuple[Float32, Int32, Int32]:
        return self.activations.copy(), self.latents.copy(), self.row_offsets.copy()


def _marked(tokens: Sequence[str], values: Float32) -> str:
    """The text with the strongest token marked."""
    peak = int(values.argmax()) if values.any() else -1
    return cut("".join(f"<<{text}>>" if i == peak else text for i, text in enumerate(tokens)), 200)


@dataclass(frozen=True, eq=False, repr=False)
class StreamResult(Record):
    """The answer to one batch of an encode stream: `encoded`, or the `error` that the batch met."""

    id: int
    encoded: Encoded | None
    error: _errors.LatentdError | None

    @classmethod
    def _from_pb(cls, pb: activation_pb2.EncodeStreamResult) -> StreamResult:
        if pb.WhichOneof("outcome") == "error":
            return cls(pb.id, None, _errors.from_status(pb.error))
        return cls(pb.id, Encoded._from_pb(pb.response)[0], None)

    def unwrap(self) -> Encoded:
        """The encoded batch; raises its error if it met one."""
        if self.encoded is None:
            assert self.error is not None
            raise self.error
        return self.encoded
