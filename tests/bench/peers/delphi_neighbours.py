"""Times delphi's neighbours by co-occurrence on a cache of latentd, and compares them with those that lie beside its shards.

usage: delphi_neighbours.py CACHE_DIR     after `cargo run --release -p latentd-cache --example bench_neighbours CACHE_DIR`
"""

import pathlib
import resource
import sys
import tempfile
import time
from unittest.mock import MagicMock

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

# delphi's clients import these; neighbours use neither. It computes on a GPU, or here on the CPU.
for name in ("tiktoken", "vllm", "vllm.inputs", "vllm.distributed", "vllm.distributed.parallel_state"):
    sys.modules.setdefault(name, MagicMock())
torch.Tensor.cuda = lambda self, *_: self

from delphi.latents.neighbours import NeighbourCalculator  # noqa: E402

KEPT = 128
NONE = 2**32 - 1

(sae,) = pathlib.Path(sys.argv[1], "saes").iterdir()
parts = []
for path in sorted(sae.glob("shard-*")):
    shard = load_file(path)
    counts = np.diff(shard["indptr"].astype(np.int64))
    latents = np.repeat(np.arange(len(counts)), counts)
    parts.append(np.stack([shard["row"], shard["position"], latents], axis=1).astype(np.uint32))
locations = np.concatenate(parts)
with tempfile.TemporaryDirectory() as folder:
    save_file({"locations": locations}, pathlib.Path(folder, f"0_{len(counts) - 1}.safetensors"))
    started = time.perf_counter()
    delphi = NeighbourCalculator(cache_dir=pathlib.Path(folder), number_of_neighbours=KEPT)
    delphi.populate_neighbour_cache("co-occurrence")
    seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
print(f"delphi: {seconds:.1f} s for {len(counts)} latents, {seconds / len(counts) * 1e6:.0f} µs each, peak {peak} MB")

latent = different = 0
for path in sorted(sae.glob("neighbours-*")):
    kept = load_file(path)
    for latents, similarities in zip(kept["latent"], kept["similarity"], strict=True):
        # Its pairs are (similarity, latent); latents that never fire have NaN, and ones that never meet have 0.
        theirs = [similarity for similarity, _ in delphi.neighbour_cache[latent] if similarity > 0]
        ours = similarities[latents != NONE]
        different += len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=1e-6)
        latent += 1
print(f"{latent} lists compared, the similarities of {different} differ")
