"""The other side of bench_sae.rs: one JSON line with what SAELens' dense encode takes.

usage: bench_sae.py SAE_FOLDER ROWS
"""

import json
import sys
import time

import torch
from sae_lens import SAE

sae = SAE.load_from_disk(sys.argv[1], device="cpu", dtype="float32")
rows = torch.randn(int(sys.argv[2]), sae.cfg.d_in)
times = []
with torch.no_grad():
    for _ in range(6):
        start = time.perf_counter()
        latents = sae.encode(rows)
        times.append(time.perf_counter() - start)
        dense = sae.process_sae_in(rows) @ sae.W_enc
        del latents, dense
print(json.dumps({"ms": min(times) * 1e3, "torch": torch.__version__, "threads": torch.get_num_threads()}))
