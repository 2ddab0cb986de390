"""What building a cache of activations costs with the peers: one JSON line for each.

usage: cache.py MODEL_DIR SAE_DIR TEXT_FILE [--tokens 16384] [--context-length 256] [--batch 8] [--device cpu|cuda]
delphi     LatentCache.run and save_splits: the whole model, then the SAE, as delphi's users run it (where it is installed)
saelens    the model cut after the SAE's layer, then SAE.encode, then nonzero
Tokenizing is not timed.
"""

import argparse
import json
import pathlib
import tempfile
import time

import torch
from peer import cut_model, layer_of, load_sae
from transformers import AutoModel, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("sae")
parser.add_argument("text")
parser.add_argument("--tokens", type=int, default=16384)
parser.add_argument("--context-length", type=int, default=256)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--device", default="cpu")
args = parser.parse_args()

sae = load_sae(args.sae, args.device)
text = pathlib.Path(args.text).read_text(errors="ignore")
try:
    ids = AutoTokenizer.from_pretrained(args.model)(text)["input_ids"]
except (OSError, ValueError):  # a synthetic model has no tokenizer; any ids cost the same
    ids = torch.randint(5, 40000, (args.tokens,)).tolist()
rows = min(len(ids), args.tokens) // args.context_length
rows -= rows % args.batch
tokens = torch.tensor(ids[: rows * args.context_length]).view(rows, args.context_length)


def report(system: str, seconds: float, **more: float) -> None:
    """One measurement."""
    n = tokens.numel()
    print(json.dumps({"system": system, "tokens": n, "seconds": seconds, "tokens_per_s": n / seconds, **more}), flush=True)


try:
    from delphi.latents import LatentCache
except ImportError:
    LatentCache = None

if LatentCache is not None:
    whole = AutoModel.from_pretrained(args.model, dtype=torch.float32).eval().to(args.device)
    cache = LatentCache(whole, {f"layers.{layer_of(sae)}": sae.encode}, batch_size=args.batch)
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        cache.run(tokens.numel(), tokens)
        cache.save_splits(5, pathlib.Path(out))
        report("delphi", time.perf_counter() - start)
    del whole, cache

model = cut_model(args.model, sae, args.device)
firing = 0
with torch.no_grad():
    for warm in (True, False):
        start, firing = time.perf_counter(), 0
        for first in range(0, args.batch if warm else rows, args.batch):
            batch = tokens[first : first + args.batch].to(args.device)
            firing += torch.nonzero(sae.encode(model(batch).last_hidden_state)).cpu().shape[0]
report("saelens", time.perf_counter() - start, l0=firing / tokens.numel())
