"""Statistics of latents over a cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _html as html
from .._extras import frame
from ..v1 import cache_pb2
from .record import Float32, Float64, Int32, Record, column, count

BUCKETS = 64
"""Buckets of a histogram."""
_COLUMNS = ("latents", "counts", "densities", "max", "mean", "mean_square")


@dataclass(frozen=True, eq=False, repr=False)
class LatentStats(Record):
    """Statistics of latents over a cache, in parallel arrays of length `[latents]`; `histogram` is `[latents, 64]`.

    `max`, `mean` and `mean_square` of a latent that never fires are NaN.
    """

    latents: Int32
    counts: NDArray[np.int64]
    densities: NDArray[np.float64]
    max: Float32
    mean: NDArray[np.float64]
    mean_square: NDArray[np.float64]
    histogram: NDArray[np.int64]

    @classmethod
    def _from_pb(cls, stats: Iterable[cache_pb2.LatentStats]) -> LatentStats:
        rows = list(stats)
        return cls(
            np.array([s.latent for s in rows], dtype=np.int32),
            np.array([s.count for s in rows], dtype=np.int64),
            np.array([s.density for s in rows], dtype=np.float64),
            column(rows, "max", np.nan, np.float32),
            column(rows, "mean", np.nan, np.float64),
            column(rows, "mean_square", np.nan, np.float64),
            np.array([list(s.histogram) for s in rows], dtype=np.int64),
        )

    @property
    def histogram_edges(self) -> Float64:
        """Edges of the histogram's buckets, `[65]`: bucket `i` counts activations from `edges[i]` up to `edges[i + 1]`.

        The first bucket also holds what is smaller, the last one what is larger.
        """
        edges: Float64 = 2.0 ** (np.arange(BUCKETS + 1) / 2 - 16)
        return edges

    def __len__(self) -> int:
        """Number of latents."""
        return len(self.latents)

    def __getitem__(self, index: Any) -> LatentStats:
        """The statistics at an index, a slice or a mask of the arrays."""
        kept = np.atleast_1d(np.arange(len(self))[index])
        return LatentStats(*(getattr(self, name)[kept] for name in (*_COLUMNS, "histogram")))

    def __iter__(self) -> Iterator[LatentStats]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<LatentStats of {count(len(self), 'latent')}, {int((self.counts > 0).sum())} of them fire>"

    def _repr_html_(self) -> str:
        order = np.argsort(-self.counts, kind="stable")[:10]
        rows = zip(*(getattr(self, name)[order].tolist() for name in _COLUMNS), strict=True)
        table = html.table(("latent", "tokens", "density", "max", "mean", "mean square"), rows)
        return html.page(html.title(repr(self)[1:-1], "those that fire most" if len(self) > 10 else ""), table)

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each latent; histograms are left out."""
        names = ("latent", "count", "density", "max", "mean", "mean_square")
        return frame({name: getattr(self, column) for name, column in zip(names, _COLUMNS, strict=True)})
