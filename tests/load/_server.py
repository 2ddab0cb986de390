"""A server of its own for an attack: a temporary data folder, the small model of `tests/golden`, one SAE, and its memory."""

from __future__ import annotations

import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "client/python/src"))

from latentd import Client  # noqa: E402

SAE = "small/topk"
D_IN, D_SAE = 32, 96


class Server:
    """`with Server() as server:` runs a server; `settings` are those of the configuration, by key."""

    def __init__(self, settings: dict[str, object] | None = None, files: int | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="latentd-load-")
        self.path = Path(self._folder.name)
        variables = {f"LATENTD_{key.replace('.', '_').upper()}": str(value) for key, value in (settings or {}).items()}
        self.log: list[dict[str, object]] = []

        def limit() -> None:
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self._process = subprocess.Popen(
            [os.environ["LATENTD_BIN"], "serve", "--listen", "127.0.0.1:0", "--log-format", "json",
             "--data-dir", str(self.path / "data")],
            env={**os.environ, **variables}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            preexec_fn=limit,
        )  # fmt: skip
        self._listening = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        if not self._listening.wait(120):
            raise SystemExit(f"the server does not start: {self.log[-3:]}")
        self.client = Client(self.address, timeout=600)

    def _read(self) -> None:
        for line in self._process.stderr or []:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            fields = record.get("fields", record)
            self.log.append(fields)
            if fields.get("message") == "listening":
                self.address = str(fields["address"])
                self._listening.set()

    def said(self, words: str) -> bool:
        """Whether the log has the words."""
        return any(words in str(record.get("message", "")) for record in self.log)

    def load_small(self) -> None:
        """Loads the small model and an SAE on it, [`SAE`]."""
        self.client.load_model("small", str(ROOT / "tests/golden/models/llama"))
        folder = self.path / "sae"
        write_sae(folder)
        self.client.load_sae("small", "topk", str(folder))

    def corpus(self, documents: int) -> str:
        """Writes a corpus of so many lines."""
        words = random.Random(1)
        path = self.path / "corpus.txt"
        text = (" ".join(words.choice("river stone cloud field quiet lamp".split()) for _ in range(60)) for _ in range(documents))
        path.write_text("\n".join(text))
        return str(path)

    def memory(self) -> int:
        """Memory of the server now, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) << 10

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._folder.cleanup()


class Peak:
    """`with Peak(server) as peak:` looks at the server's memory ten times a second; `peak.grown` is by how much it grew."""

    def __init__(self, server: Server) -> None:
        self._server, self._stop = server, threading.Event()

    def __enter__(self) -> Peak:
        self._before = self._most = self._server.memory()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self._most = max(self._most, self._server.memory())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self._most - self._before


def write_sae(folder: Path) -> None:
    """A topk SAE with random weights, as SAELens writes it."""
    folder.mkdir(parents=True)
    metadata = {"hook_name": "blocks.1.hook_resid_post", "model_name": "small", "prepend_bos": True, "context_size": 32}
    config = {
        "architecture": "topk", "k": 6, "d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "apply_b_dec_to_input": True,
        "normalize_activations": "none", "reshape_activations": "none", "rescale_acts_by_decoder_norm": True,
        "metadata": metadata,
    }  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(config))
    numbers, header, data = random.Random(7), {}, b""
    for name, shape in [("W_enc", [D_IN, D_SAE]), ("W_dec", [D_SAE, D_IN]), ("b_dec", [D_IN]), ("b_enc", [D_SAE])]:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        begin = len(data)
        data += struct.pack(f"<{count}f", *(numbers.uniform(-0.3, 0.3) for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "sae_weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def until(what: str, holds: Callable[[], bool], seconds: float = 60) -> float:
    """Waits until something holds, and returns the seconds that it took."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - begun


def mb(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e6:.0f} MB"
