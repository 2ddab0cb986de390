"""Writes what PyTorch's autograd says of the tiny models of tests/golden/models.

usage: gradients.py MODELS_DIR

Needs what models.py needs. Beside the weights of `llama` and `gpt2` lies then `gradients.safetensors`: for each prompt
`<prompt>.<hook point>`, `[tokens, d_model]`, the gradient of the logit of token `TOKEN` after the prompt's last token with
respect to the residual stream there.
"""

import json
import pathlib
import sys

import torch
from models import hook_points
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

TOKEN = 42


def gradients(model: torch.nn.Module, ids: list[int]) -> dict[str, torch.Tensor]:
    """At every residual."""
    values, handles = {}, []

    def keep(name, value):
        values[name] = value[0] if isinstance(value, tuple) else value
        values[name].retain_grad()

    for name, module, is_input in hook_points(model):
        if "resid" not in name:
            continue

        def before(_module, args, kwargs, name=name):
            keep(name, args or kwargs["hidden_states"])

        def after(_module, _args, output, name=name):
            keep(name, output)

        handles.append(
            module.register_forward_pre_hook(before, with_kwargs=True)
            if is_input
            else module.register_forward_hook(after)
        )
    model(torch.tensor([ids])).logits[0, -1, TOKEN].backward()
    for handle in handles:
        handle.remove()
    return {name: value.grad[0].float().contiguous().clone() for name, value in values.items()}


def main() -> None:
    models = pathlib.Path(sys.argv[1])
    prompts = [prompt["ids"] for prompt in json.loads((models / "prompts.json").read_text())]
    for name in ["llama", "gpt2"]:
        folder = models / name
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        tensors = {
            f"{i}.{point}": value for i, ids in enumerate(prompts) for point, value in gradients(model, ids).items()
        }
        save_file(tensors, folder / "gradients.safetensors")


if __name__ == "__main__":
    main()
