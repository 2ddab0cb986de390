"""Windows of a cache, by their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _html as html
from .._extras import frame
from ..v1 import cache_pb2
from .record import Float32, Int32, Record, Results, array, cut

_COLUMNS = ("id", "document", "row", "start", "text")


@dataclass(frozen=True, eq=False, repr=False)
class Window(Record):
    """A window of a cache. `activations` are those of the latent that was asked for, and empty if none was."""

    id: str
    document: int
    row: int
    start: int
    ids: Int32
    tokens: tuple[str, ...]
    activations: Float32

    @classmethod
    def _from_pb(cls, pb: cache_pb2.Window) -> Window:
        ids, activations = array(pb.ids, np.int32), array(pb.activations, np.float32)
        return cls(pb.id, pb.document, pb.row, pb.start, ids, tuple(pb.tokens), activations)

    @property
    def text(self) -> str:
        """The text of the window."""
        return "".join(self.tokens)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Window {self.id} of document {self.document}: {cut(self.text)!r}>"

    def _repr_html_(self) -> str:
        return html.page(html.title(self.id, f"document {self.document}"), self._strip())

    def _strip(self) -> str:
        activations = self.activations if len(self.activations) else np.zeros(len(self.tokens))
        return html.strip(self.tokens, activations)


class Windows(Results[Window]):
    """Windows, to look at."""

    def _repr_html_(self) -> str:
        rows = ((window.id, window.document, html.Raw(window._strip())) for window in self)
        return html.page(html.table(("window", "document", "text"), rows))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each window."""
        return frame({name: [getattr(window, name) for window in self] for name in _COLUMNS})
