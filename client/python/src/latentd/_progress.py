"""How far a job is, as one line of text that is written over in a terminal and in a notebook."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ._types import Job

_STEP = 0.1
"""Where a line cannot be written over, a new one is written after each tenth."""


@contextmanager
def shown(progress: bool, out: TextIO | None = None) -> Iterator[Callable[[Job], None]]:
    """A function that shows where a job is; it shows nothing unless `progress` is set."""
    if not progress:
        yield lambda job: None
        return
    line = Line(out or sys.stdout)
    try:
        yield line.show
    finally:
        line.end()


class Line:
    """The line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._over = out.isatty() or _in_notebook()
        self._width = 0
        self._last: tuple[str, int] | None = None

    def show(self, job: Job) -> None:
        """Writes where the job is, if that is news."""
        text = f"{job.name.removeprefix('jobs/')} {job.state}"
        text += f": {job.progress}" if job.progress.unit else ""
        if self._over:
            columns = shutil.get_terminal_size().columns - 1
            text = text if len(text) <= columns else text[: columns - 1] + "…"
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif (now := (job.state, _tenths(job))) != self._last:
            self._last = now
            self._out.write(text + "\n")
        self._out.flush()

    def end(self) -> None:
        """Leaves the line."""
        if self._width:
            self._out.write("\n")
            self._out.flush()


def _tenths(job: Job) -> int:
    return int(job.progress.done / job.progress.total / _STEP) if job.progress.total else 0


def _in_notebook() -> bool:
    """Whether this runs in Jupyter or the like, which lets a line be written over though it is no terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
