"""Writes at which hook points TransformerLens' options of loading change a model's values.

usage: model_options.py GPT2_DIR OUT_FILE

Needs torch, transformers 5 and TransformerLens 3. GPT2_DIR is tests/golden/models/gpt2. For each option the model is loaded with it and
without it; a hook point changes where the largest difference is over a thousandth of the largest value.
"""

import json
import logging
import pathlib
import sys

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import AutoModelForCausalLM

OPTIONS = ["fold_ln", "center_writing_weights", "center_unembed", "fold_value_biases", "refactor_factored_attn_matrices"]
POINTS = [
    "hook_embed",
    "blocks.1.hook_resid_pre",
    "blocks.1.attn.hook_z",
    "blocks.1.hook_attn_out",
    "blocks.1.hook_resid_mid",
    "blocks.1.mlp.hook_post",
    "blocks.1.hook_mlp_out",
    "blocks.1.hook_resid_post",
]


def values(folder: str, option: str | None) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    hf = model.config
    cfg = HookedTransformerConfig(
        n_layers=hf.n_layer,
        d_model=hf.n_embd,
        n_heads=hf.n_head,
        d_head=hf.n_embd // hf.n_head,
        d_mlp=hf.n_inner,
        n_ctx=hf.n_positions,
        d_vocab=hf.vocab_size,
        act_fn="gelu_new",
        eps=hf.layer_norm_epsilon,
        normalization_type="LN",
        scale_attn_by_inverse_layer_idx=False,
        seed=0,
        device="cpu",
    )
    hooked = HookedTransformer(cfg, move_to_device=False)
    hooked.load_and_process_state_dict(convert_gpt2_weights(model, cfg), **{name: name == option for name in OPTIONS})
    with torch.no_grad():
        _, cache = hooked.run_with_cache(torch.tensor([[0, 40, 50, 60, 70, 80]]))
    return {name: cache[name] for name in POINTS}


def main(folder: str, out: pathlib.Path) -> None:
    logging.disable()
    plain = values(folder, None)

    def changes(option: str) -> dict[str, bool]:
        other = values(folder, option)
        far = {name: (other[name] - plain[name]).abs().max() / plain[name].abs().max() for name in POINTS}
        return {name: bool(difference > 1e-3) for name, difference in far.items()}

    out.write_text(json.dumps({option: changes(option) for option in OPTIONS}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
