"""The model and the SAE as the peers' users load them."""

import json
import pathlib
import re

import torch
from transformers import AutoModel

try:
    from sae_lens import SAE
except ImportError:  # a machine with PyTorch and transformers alone
    SAE = None


class DenseTopK:
    """A topk SAE in plain PyTorch, as SAELens computes it, for machines without SAELens."""

    def __init__(self, folder: str, device: str) -> None:
        from safetensors.torch import load_file

        config = json.loads((pathlib.Path(folder) / "cfg.json").read_text())
        if config["architecture"] != "topk":
            raise ValueError("without SAELens only topk SAEs can be compared")
        weights = {k: v.float().to(device) for k, v in load_file(str(pathlib.Path(folder) / "sae_weights.safetensors")).items()}
        self.w_enc, self.b_enc, self.b_dec = weights["W_enc"], weights["b_enc"], weights["b_dec"]
        self.scale = weights["W_dec"].norm(dim=1) if config.get("rescale_acts_by_decoder_norm") else 1.0
        self.k = config["k"]
        self.d_sae = self.w_enc.shape[1]
        self.hook_name = config["metadata"]["hook_name"]

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Dense activations, [..., d_sae]."""
        hidden = ((x - self.b_dec) @ self.w_enc + self.b_enc) * self.scale
        top = hidden.topk(self.k, dim=-1)
        return torch.zeros_like(hidden).scatter_(-1, top.indices, top.values.relu())


def load_sae(folder: str, device: str):
    """The SAE, by SAELens where it is installed."""
    if SAE is None:
        return DenseTopK(folder, device)
    return SAE.load_from_disk(folder, device=device, dtype="float32")


def layer_of(sae) -> int:
    """The block whose output the SAE reads."""
    name = getattr(sae, "hook_name", None) or sae.cfg.metadata.hook_name
    return int(re.search(r"\d+", name).group())


def cut_model(folder: str, sae, device: str):
    """The model without what lies behind the SAE's layer: SAELens' early stop."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval().to(device)
    depth = layer_of(sae) + 1
    model.layers, model.norm = model.layers[:depth], torch.nn.Identity()
    model.config.num_hidden_layers = depth
    return model
