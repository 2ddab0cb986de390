"""Writes what transformers makes of the rope keys of many `config.json` files, old keys and new ones and mixtures of both.

usage: rope.py LLAMA_DIR OUT_DIR

Needs torch, transformers 5 and safetensors. Each case of `rope.json` is what a configuration adds to a small llama's; beside it the
frequencies and the attention factor of `LlamaRotaryEmbedding`, or the kind of exception where transformers refuses the
configuration. `rope.safetensors` holds what the llama in LLAMA_DIR, which is tests/golden/models/llama, computes with some of them:
`blocks.1.hook_resid_post` of 40 tokens, under the number of the case in VALUES.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.utils import logging

BASE = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 4096,
}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
CASES = {
    "nothing": {},
    "theta beside": {"rope_theta": 5e5},
    "theta in both places": {"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
    "theta beside a dictionary without one": {"rope_theta": 5e5, "rope_parameters": {"rope_type": "default"}},
    "theta of null beside": {"rope_theta": None},
    "theta of null inside": {"rope_theta": 5e5, "rope_parameters": {"rope_type": "default", "rope_theta": None}},
    "scaling of null": {"rope_theta": 7.0, "rope_scaling": None},
    "scaling that is empty": {"rope_scaling": {}, "rope_parameters": {"rope_theta": 5e5}},
    "linear, older name": {"rope_theta": 1e5, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "linear, newer name": {"rope_parameters": {"rope_type": "linear", "factor": 4, "rope_theta": 1e5}},
    "both names that differ": {"rope_scaling": {"type": "linear", "rope_type": "default", "factor": 4.0}},
    "a type of null": {"rope_scaling": {"rope_type": None, "type": "linear", "factor": 4.0}},
    "scaling beside parameters": {
        "rope_scaling": {"rope_type": "linear", "factor": 4.0},
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e5},
    },
    "scaling with a base": {
        "rope_theta": 1e4,
        "rope_scaling": {"rope_type": "linear", "factor": 4.0, "rope_theta": 3e5},
    },
    "a factor without a type": {"rope_scaling": {"factor": 4.0}},
    "linear without a factor": {"rope_scaling": {"type": "linear"}},
    "linear with a null factor": {"rope_scaling": {"type": "linear", "factor": None}},
    "llama3": {
        "rope_theta": 5e5,
        "rope_scaling": {"rope_type": "llama3", **LLAMA3, "original_max_position_embeddings": 512},
    },
    "llama3 without an original length": {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
    "llama3 with an original length beside": {
        "rope_theta": 5e5,
        "original_max_position_embeddings": 256,
        "rope_scaling": {"rope_type": "llama3", **LLAMA3},
    },
    "llama3 with two original lengths": {
        "rope_theta": 5e5,
        "original_max_position_embeddings": 256,
        "rope_scaling": {"rope_type": "llama3", **LLAMA3, "original_max_position_embeddings": 1024},
    },
    "llama3 without low_freq_factor": {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0}},
    "dynamic": {"rope_theta": 1e5, "rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "dynamic without a factor": {"rope_scaling": {"type": "dynamic"}},
    "yarn": {"rope_theta": 1e6, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}},
    "yarn beside parameters": {
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024},
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e5},
    },
    "yarn without an original length": {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e5}},
    "yarn with a null factor": {
        "rope_parameters": {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 512}
    },
    "yarn without a factor": {"rope_parameters": {"rope_type": "yarn", "original_max_position_embeddings": 512}},
    "yarn with an attention factor": {
        "rope_parameters": {"rope_type": "yarn", "factor": 8.0, "attention_factor": 0.75}
    },
    "yarn with mscale": {
        "rope_parameters": {"rope_type": "yarn", "factor": 8.0, "mscale": 0.7, "mscale_all_dim": 1.3}
    },
    "yarn with one mscale": {"rope_parameters": {"rope_type": "yarn", "factor": 8.0, "mscale": 0.7}},
    "yarn with betas": {
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": 8.0,
            "beta_fast": 16,
            "beta_slow": 2,
            "truncate": False,
            "original_max_position_embeddings": 256,
        }
    },
    "yarn with a beta of 0": {"rope_parameters": {"rope_type": "yarn", "factor": 8.0, "beta_fast": 0, "beta_slow": None}},
    "yarn with a short context": {
        "rope_parameters": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 4}
    },
    "a part of each head beside": {"partial_rotary_factor": 0.5},
    "a part of each head inside": {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5}},
    "the whole head": {"partial_rotary_factor": 1.0, "rope_scaling": {"type": "linear", "factor": 2.0}},
    "longrope": {
        "rope_parameters": {"rope_type": "longrope", "factor": 4.0, "short_factor": [1.0] * 16, "long_factor": [2.0] * 16}
    },
    "proportional": {"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
    "a type that nobody knows": {"rope_scaling": {"type": "ntk", "factor": 2.0}},
    "parameters for kinds of layers": {
        "layer_types": ["full_attention"],
        "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e6}},
    },
    "a scaling that is a list": {"rope_scaling": [4.0]},
    "a scaling that is a word": {"rope_scaling": "linear"},
    "a base that is a word": {"rope_theta": "10000"},
}


def resolved(more: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(BASE | more))
        try:
            rope = LlamaRotaryEmbedding(AutoConfig.from_pretrained(folder))
        except Exception as error:
            return {"refused": type(error).__name__}
    assert rope.inv_freq.dtype == torch.float32
    return {"frequencies": rope.inv_freq.tolist(), "attention_factor": float(rope.attention_scaling)}


# Keys that take the place of `rope_parameters` in the configuration of the llama, whose context is 64 tokens.
VALUES = [
    {"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
    {"rope_scaling": {"type": "linear", "factor": 4.0}},
    {"rope_scaling": {"rope_type": "llama3", **LLAMA3, "original_max_position_embeddings": 16}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, "attention_factor": 0.5, "beta_fast": 4, "truncate": False}},
    {"rope_scaling": {"type": "dynamic", "factor": 4.0}},
]


def values(llama: pathlib.Path, more: dict) -> torch.Tensor:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(llama / "model.safetensors", folder)
        config = json.loads((llama / "config.json").read_text())
        del config["rope_parameters"]
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config | more))
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    kept = []
    model.model.layers[1].register_forward_hook(lambda _module, _args, output: kept.append(output))
    with torch.no_grad():
        model(torch.tensor([[i * 5 % 270 for i in range(40)]]))
    output = kept[0]
    return (output[0] if isinstance(output, tuple) else output).reshape(40, -1).contiguous()


def main(llama: pathlib.Path, out: pathlib.Path) -> None:
    logging.set_verbosity_error()
    save_file({str(i): values(llama, more) for i, more in enumerate(VALUES)}, out / "rope.safetensors")
    cases = [{"name": name, "config": BASE | more, **resolved(more)} for name, more in CASES.items()]
    (out / "rope.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
