"""Goldens of SAEs: tiny SAELens folders, with what SAELens computes from them.

usage: python tests/reference/saes.py [OUT_DIR]      (needs sae-lens 6 and its PyTorch)

Each folder holds `cfg.json` and `sae_weights.safetensors` as SAELens writes them (files of versions before 6.0 are written by hand
and read by SAELens), and `expected.safetensors`:
`input` [rows, d_in], `activations` [rows, d_sae] and `decoded` [rows, d_in], the last without the normalisation's way back.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens import GatedSAE, GatedSAEConfig, JumpReLUSAE, JumpReLUSAEConfig
from sae_lens import MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig
from sae_lens import StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "golden" / "saes")
ROWS, D_IN, D_SAE, HEADS = 12, 16, 64, 4
NORM_FACTOR = 0.375
RESID = "blocks.1.hook_resid_post"
HOOK_Z = "blocks.1.attn.hook_z"


def randomise(sae):
    """Weights in which every part matters: decoder norms far from 1, biases, thresholds, magnitudes."""
    with torch.no_grad():
        for name, parameter in sorted(sae.named_parameters()):
            if name == "W_dec":
                parameter.copy_(torch.randn_like(parameter) * torch.linspace(0.2, 1.5, parameter.shape[0])[:, None])
            elif name == "W_enc":
                parameter.copy_(torch.randn_like(parameter) * 0.4)
            elif name == "threshold":
                parameter.copy_(torch.rand_like(parameter) * 1.5 - 0.1)
            else:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    return sae


def metadata(hook_name=RESID, **extra):
    return {"model_name": "tiny", "hook_name": hook_name, "hook_head_index": None, "prepend_bos": True, "context_size": 32, **extra}


def expect(folder, factor=None, heads=None):
    """Lets SAELens read the folder and writes what it computes."""
    sae = SAE.load_from_disk(folder, dtype="float32")
    if factor is not None:
        sae.fold_activation_norm_scaling_factor(factor)
    x = torch.randn(ROWS, D_IN) * 1.7 + 0.3
    with torch.no_grad():
        activations = sae.encode(x.view(ROWS, heads, -1) if heads else x)
        sae.run_time_activation_norm_fn_out = lambda decoded: decoded
        decoded = sae.decode(activations).reshape(ROWS, D_IN)
    save_file({"input": x, "activations": activations.contiguous(), "decoded": decoded.contiguous()}, folder / "expected.safetensors")
    density = (activations > 0).float().sum(-1)
    print(f"{folder.name:32} L0 {density.mean():5.1f}  dims {tuple(activations.shape)}")


def v6(name, sae_class, config_class, *, factor=None, heads=None, store=None, d_sae=D_SAE, hook_name=RESID, **options):
    """A folder that SAELens itself saves."""
    folder = OUT / name
    sae = randomise(sae_class(config_class(d_in=D_IN, d_sae=d_sae, **options)))
    sae.cfg.metadata = type(sae.cfg.metadata)(**metadata(hook_name))
    if store is not None:
        sae = sae.to(dtype=store)
    sae.save_model(folder)
    expect(folder, factor, heads)


def trained(name, sae_class, config_class, **options):
    """A training SAE that SAELens saves for inference, as another architecture."""
    folder = OUT / name
    sae = randomise(sae_class(config_class(d_in=D_IN, d_sae=D_SAE, **options)))
    sae.cfg.metadata = type(sae.cfg.metadata)(**metadata())
    sae.topk_threshold.fill_(1.1)
    sae.save_inference_model(folder)
    expect(folder)


def pre6(name, config, tensors, factor=None, heads=None):
    """A folder as SAELens before 6.0 wrote it."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    config = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "torch.float32", "device": "cpu", "model_name": "gpt2-small", **config}
    (folder / "cfg.json").write_text(json.dumps(config, indent=1))
    save_file(tensors, folder / "sae_weights.safetensors")
    expect(folder, factor, heads)


def canonical(**extra):
    sae = randomise(StandardSAE(StandardSAEConfig(d_in=D_IN, d_sae=D_SAE)))
    return {name: value.detach().clone() for name, value in sae.state_dict().items()} | extra


torch.manual_seed(7)
STANDARD, GATED = (StandardSAE, StandardSAEConfig), (GatedSAE, GatedSAEConfig)
JUMPRELU, TOPK = (JumpReLUSAE, JumpReLUSAEConfig), (TopKSAE, TopKSAEConfig)
AVERAGE = {"normalize_activations": "expected_average_only_in", "factor": NORM_FACTOR}

v6("standard", *STANDARD)
v6("standard-odd-width", *STANDARD, d_sae=77)
v6("standard-keeps-b-dec", *STANDARD, apply_b_dec_to_input=False)
v6("standard-layer-norm", *STANDARD, normalize_activations="layer_norm")
v6("standard-constant-norm", *STANDARD, normalize_activations="constant_norm_rescale")
v6("standard-expected-average", *STANDARD, **AVERAGE)
v6("standard-hook-z", *STANDARD, reshape_activations="hook_z", hook_name=HOOK_Z, heads=HEADS)
v6("standard-f16", *STANDARD, store=torch.float16)
v6("standard-bf16", *STANDARD, store=torch.bfloat16)
v6("gated", *GATED)
v6("gated-layer-norm", *GATED, normalize_activations="layer_norm", apply_b_dec_to_input=False)
v6("gated-expected-average", *GATED, **AVERAGE)
v6("jumprelu", *JUMPRELU)
v6("jumprelu-constant-norm", *JUMPRELU, normalize_activations="constant_norm_rescale")
v6("jumprelu-expected-average", *JUMPRELU, **AVERAGE)
v6("topk", *TOPK, k=8)
v6("topk-rescale", *TOPK, k=8, rescale_acts_by_decoder_norm=True)
v6("topk-rescale-expected-average", *TOPK, k=5, rescale_acts_by_decoder_norm=True, **AVERAGE)
v6("topk-layer-norm", *TOPK, k=8, normalize_activations="layer_norm")
v6("topk-all", *TOPK, k=D_SAE)
trained("batchtopk", BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, k=6)
trained(
    "matryoshka",
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
    k=6,
    matryoshka_widths=[16, D_SAE],
)

pre6("pre6-standard", {"hook_point": RESID, "hook_point_layer": 1, "hook_point_head_index": None}, canonical())
pre6(
    "pre6-scaling-factor-of-ones",
    {"hook_name": RESID, "hook_layer": 1, "architecture": "standard", "activation_fn_str": "relu", "normalize_activations": "none"},
    canonical(scaling_factor=torch.ones(D_SAE)),
)
pre6(
    "pre6-topk",
    {"hook_name": RESID, "activation_fn": "topk", "activation_fn_kwargs": {"k": 8}, "architecture": "standard"},
    canonical(),
)
pre6(
    "pre6-hook-z-average",
    {"hook_point": HOOK_Z, "normalize_activations": True, "apply_b_dec_to_input": True, "context_size": 128},
    canonical(),
    factor=NORM_FACTOR,
    heads=HEADS,
)
for folder in sorted(OUT.iterdir()):
    assert set(load_file(folder / "expected.safetensors")) == {"input", "activations", "decoded"}
