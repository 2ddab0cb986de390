"""The notebook runs from top to bottom, shows what it says it shows, and is committed without outputs."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from latentd import Client, NotFoundError

TOUR = Path(__file__).parent.parent / "examples" / "tour.ipynb"
SHOWN = {
    "Senate voted": (r"rgba\(255", "Senate"),
    "result.to_pandas": ("activation", "prompt"),
    "result.heat": (r"rgba\(255", "Senate"),
    "stats = sae": ("density", "latent"),
    "count=4": (r"rgba\(255", "window"),
    "count=3": (r"rgba\(255", " taxes"),
    "explanations = ": ("detection", "top_tokens", "completion"),
    "job_summary": ("detection", "explained"),
    "client.windows": ("document", "window"),
}
"""What is sure to be in the HTML of a cell, by what is in its source."""


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(TOUR.read_text())["cells"]
    return found


def code() -> list[str]:
    return ["".join(cell["source"]) for cell in cells() if cell["cell_type"] == "code"]


def test_the_tour_is_clean() -> None:
    for cell in cells():
        assert not cell["metadata"] and cell["cell_type"] in ("code", "markdown")
        if cell["cell_type"] == "code":
            assert not cell["outputs"] and cell["execution_count"] is None, "clear the outputs before you commit"
    notebook = json.loads(TOUR.read_text())
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert TOUR.read_text() == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def test_the_tour_runs(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell.instance()
    seen = set()
    try:
        for source in code():
            ran = shell.run_cell(source.replace("localhost:50051", address))
            assert ran.success, f"{source}\n{ran.error_before_exec or ran.error_in_exec}\n{capsys.readouterr().out}"
            for mark, patterns in SHOWN.items():
                if mark in source:
                    html = shell.display_formatter.format(ran.result)[0]["text/html"]
                    assert all(re.search(pattern, html) for pattern in patterns), f"{source}\n{html}"
                    seen.add(mark)
        assert seen == set(SHOWN)
        assert "succeeded" in capsys.readouterr().out, "wait(progress=True) says how far it is"
    finally:
        with Client(address) as client, contextlib.suppress(NotFoundError):
            client.delete_provider("tour")
            client.delete_cache("tour")
        InteractiveShell.clear_instance()
