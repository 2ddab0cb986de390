"""Windows of text in which a latent fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _html as html
from .._extras import frame
from ..v1 import cache_pb2
from .record import Float32, Int32, Record, Results, array, count, cut


@dataclass(frozen=True, eq=False, repr=False)
class Example(Record):
    """A window of text, and how a latent fires in it."""

    latent: int
    document: int
    row: int
    start: int
    ids: Int32
    tokens: tuple[str, ...]
    activations: Float32
    peak: float
    peak_index: int | None
    quantile: int | None
    bin: tuple[float, float] | None

    @classmethod
    def _from_pb(cls, latent: int, pb: cache_pb2.Example) -> Example:
        return cls(
            latent,
            pb.document,
            pb.row,
            pb.start,
            array(pb.ids, np.int32),
            tuple(pb.tokens),
            array(pb.activations, np.float32),
            pb.peak,
            pb.peak_index if pb.HasField("peak_index") else None,
            pb.quantile if pb.HasField("quantile") else None,
            (pb.bin_min, pb.bin_max) if pb.HasField("bin_max") else None,
        )

    @property
    def window(self) -> str:
        """The window's id, `row:start+length`: what scores call it, and what `client.window` takes."""
        return f"{self.row}:{self.start}+{len(self.ids)}"

    @property
    def text(self) -> str:
        """The text of the window."""
        return "".join(self.tokens)

    def __str__(self) -> str:
        """The text with the peak marked, on one line."""
        return f"{self.latent:>6} {self.peak:8.3f}  {self._marked()}"

    def __repr__(self) -> str:
        return f"<Example of latent {self.latent} at {self.window}, peak {self.peak:.3f}: {cut(self._marked())!r}>"

    def _repr_html_(self) -> str:
        note = f"peak {self.peak:.3f}, window {self.window}"
        return html.page(html.title(f"latent {self.latent}", note), html.strip(self.tokens, self.activations))

    def _marked(self) -> str:
        parts = [f"<<{t}>>" if i == self.peak_index else t for i, t in enumerate(self.tokens)]
        return "".join(parts).replace("\n", "⏎")


class Examples(Results[Example]):
    """Examples of one latent or several, to look at."""

    def __repr__(self) -> str:
        return f"<{count(len(self), 'example')} of {count(len({e.latent for e in self}), 'latent')}>"

    def _repr_html_(self) -> str:
        peaks: dict[int, float] = {}
        for example in self:
            peaks[example.latent] = max(peaks.get(example.latent, 0.0), example.peak)
        rows = [
            (e.latent, e.peak, e.window, html.Raw(html.strip(e.tokens, e.activations, peak=peaks[e.latent])))
            for e in self
        ]
        return html.page(html.table(("latent", "peak", "window", "text"), rows))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each example."""
        names = ("latent", "peak", "window", "document", "row", "start", "text", "peak_index", "quantile")
        return frame({name: [getattr(example, name) for example in self] for name in names})
