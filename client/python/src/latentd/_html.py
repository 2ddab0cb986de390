"""What results look like in a notebook: plain HTML, without scripts, that reads on light and on dark pages.

Every text is escaped. Colours are translucent and lie behind text of the page's own colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_HEAT = "255,140,0"
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px"
_CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0;color:inherit;background:none;border:0"
_DIM = "opacity:.65"
LONGEST = 160
"""Tokens of a strip."""


class Fragment:
    """Something to look at: HTML in a notebook, text elsewhere."""

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text

    def __str__(self) -> str:
        return self._text


def strip(tokens: Sequence[str], activations: ArrayLike, *, peak: float | None = None) -> str:
    """Tokens, each on a ground as warm as its activation is strong. `peak` is the strongest that there can be."""
    values = np.maximum(np.nan_to_num(np.asarray(activations, dtype=np.float64)), 0.0)
    most = float(peak or values.max(initial=0.0)) or 1.0
    first, last = _part(len(tokens), int(values.argmax()) if len(values) else 0)
    spans = [_token(tokens[i], float(values[i]), most) for i in range(first, last)]
    before, after = "…" if first else "", "…" if last < len(tokens) else ""
    return f'<span style="{_MONO};white-space:pre-wrap;line-height:1.8">{before}{"".join(spans)}{after}</span>'


def _part(tokens: int, peak: int) -> tuple[int, int]:
    """The part of a long strip that is shown: around its peak."""
    first = max(0, min(peak - LONGEST * 3 // 4, tokens - LONGEST))
    return first, min(tokens, first + LONGEST)


def _token(token: str, value: float, most: float) -> str:
    text = escape(token.replace("\n", "⏎").replace("\t", "⇥"))
    if value <= 0:
        return f"<span>{text}</span>"
    alpha = 0.08 + 0.57 * min(value / most, 1.0)
    return f'<span title="{value:.4g}" style="background:rgba({_HEAT},{alpha:.2f});border-radius:2px">{text}</span>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of cells: `Raw` as they are, all others escaped."""
    heads = "".join(f'<th style="{_CELL};{_DIM}">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    rows_of = f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>"
    return f'<table style="border-collapse:collapse;color:inherit">{rows_of}</table>'


class Raw(str):
    """HTML that is made already."""

    __slots__ = ()


def _cell(cell: Any) -> str:
    text = str(cell) if isinstance(cell, Raw) else escape(number(cell))
    return f'<td style="{_CELL}">{text}</td>'


def number(value: Any) -> str:
    """A value as a table shows it: numbers in a few digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def title(text: str, note: str = "") -> str:
    """A line above something else."""
    return f'<div><b>{escape(text)}</b> <span style="{_DIM}">{escape(note)}</span></div>'


def note(text: str) -> str:
    """A line that is less than the others."""
    return f'<div style="{_DIM}">{escape(text)}</div>'


def bar(share: float) -> str:
    """How much is done, from 0 to 1."""
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        f'<div style="max-width:32em;height:6px;border-radius:3px;background:rgba(128,128,128,.25)">'
        f'<div style="width:{width:.1f}%;height:6px;border-radius:3px;background:rgba({_HEAT},.8)"></div></div>'
    )


def page(*parts: str) -> str:
    """All parts, one below the other."""
    return f'<div style="color:inherit">{"".join(parts)}</div>'
