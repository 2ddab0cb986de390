"""Makes src/latentd/_sync, the synchronous client, of src/latentd/_aio.

Both are committed; a test holds that they agree.

usage: python mirror.py [OUT_DIR]   (needs ruff)
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "src" / "latentd"
RULES = [
    (r"import grpc\.aio\n", ""),
    (r"grpc\.aio\.", "grpc."),
    (r"import asyncio\n(?=[\s\S]*asyncio\.Semaphore)", "import threading\n"),
    (r"asyncio\.Semaphore", "threading.Semaphore"),
    (r"StopAsyncIteration", "StopIteration"),
    (r"import asyncio\n", "import time\n"),
    (r"asyncio\.sleep", "time.sleep"),
    (r", for asyncio", ""),
    (r"asyncio client", "synchronous client"),
    (r"`_sync` is made of these files by", "Made of `_aio` by"),
    (r"__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(?=[A-Z])", ""),
]
"""What is different in the synchronous client; ruff puts lines and imports in order after it."""


def sync(text: str, name: str) -> str:
    """The synchronous text of an asynchronous file."""
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    for command in (["check", "--quiet", "--select", "I,UP028", "--fix", "--unsafe-fixes"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(SOURCE / "_sync" / name), "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main(out: Path) -> None:
    """Writes all files."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((SOURCE / "_aio").glob("*.py")):
        (out / path.name).write_text(sync(path.read_text(), path.name))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE / "_sync")
