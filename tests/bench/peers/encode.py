"""What one Encode costs in process with PyTorch and SAELens, no server: one JSON line for each prompt length.

usage: encode.py MODEL_DIR SAE_DIR [--device cpu|cuda] [--rounds 25]
MODEL_DIR is a Hugging Face folder of a llama-family model, SAE_DIR a SAELens folder. The model is cut after the SAE's
layer. `single_ms` is the median of lone prompts, `batched_ms` the time for each of 32 prompts in one pass.
"""

import argparse
import json
import statistics
import time

import torch
from peer import cut_model, load_sae

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("sae")
parser.add_argument("--device", default="cpu")
parser.add_argument("--rounds", type=int, default=25)
args = parser.parse_args()

sae = load_sae(args.sae, args.device)
model = cut_model(args.model, sae, args.device)


def measure(tokens: torch.Tensor) -> float:
    """Seconds for one pass, until the indices of what fires are on the host."""
    start = time.perf_counter()
    torch.nonzero(sae.encode(model(tokens).last_hidden_state)).cpu()
    return time.perf_counter() - start


with torch.no_grad():
    for length in (8, 32, 128):
        tokens = torch.randint(5, 40000, (1, length), device=args.device)
        measure(tokens)
        single = statistics.median(measure(tokens) for _ in range(args.rounds))
        batched = statistics.median(measure(tokens.repeat(32, 1)) for _ in range(3)) / 32
        line = {"system": "pytorch", "tokens": length, "single_ms": single * 1e3, "batched_ms": batched * 1e3}
        print(json.dumps(line), flush=True)
