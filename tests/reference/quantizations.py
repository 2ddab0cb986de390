"""Writes a few blocks of every GGUF quantization and the weights that the Python package `gguf` makes of them.

usage: quantizations.py OUT_FILE
"""

import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

BLOCKS = 3
# Where the half-precision scales lie in a block; every other byte is random.
SCALES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
}


def main(out: pathlib.Path) -> None:
    random = np.random.default_rng(0)
    tensors = {}
    for name, scales in SCALES.items():
        kind = gguf.GGMLQuantizationType[name]
        _, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
        for at in scales:
            scale = random.normal(0, 0.05, (BLOCKS, 1)).astype(np.float16)
            blocks[:, at : at + 2] = scale.view(np.uint8)
        tensors[f"{name.lower()}.blocks"] = blocks
        tensors[f"{name.lower()}.weights"] = gguf.dequantize(blocks, kind).astype(np.float32)
    save_file(tensors, out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
