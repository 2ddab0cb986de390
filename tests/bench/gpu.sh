#!/usr/bin/env bash
# Checks and measures a CUDA build on a machine with an NVIDIA GPU, beside PyTorch there, and prints one table.
# usage: gpu.sh BINARY
#   BINARY  latentd built elsewhere with `--features cuda` (CUDARC_CUDA_VERSION=13000 for a driver of CUDA 13), stripped, under 60 MB
# Needs no network: fidelity is checked against the goldens in tests/golden, and the model measured is a random one of
# SmolLM2-135M's shape, made here, with the demo's SAE. Needs python3 with torch, transformers and safetensors; NVRTC needs
# CUDA's headers, found through CUDA_PATH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
binary=$1
export CUDA_PATH=${CUDA_PATH:-/usr/local/cuda}
size=$(stat -c %s "$binary")
[ "$size" -lt 60000000 ] || { echo "$binary has $size bytes; the limit is 60 MB" >&2; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sae=$root/deploy/demo/sae-smollm2-135m-l9

echo "device: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader)"
echo "== fidelity: residuals, logits and latents of the goldens, on the device"
"$binary" bench fidelity --goldens "$root/tests/golden"

echo "== speed: a random model of SmolLM2-135M's shape, the demo's SAE"
python3 "$here/peers/random_model.py" "$out/model"
for round in 1 2 3; do
    python3 "$here/peers/encode.py" "$out/model" "$sae" --device cuda 2>/dev/null >>"$out/encode.jsonl"
    "$binary" bench device --model "$out/model" --sae "$sae" --json >"$out/latentd.jsonl"
    grep single_ms "$out/latentd.jsonl" >>"$out/encode.jsonl"
    python3 "$here/peers/cache.py" "$out/model" "$sae" "$root/README.md" --tokens 524288 --batch 32 --device cuda 2>/dev/null | grep '^{' >>"$out/cache.jsonl"
    grep tokens_per_s "$out/latentd.jsonl" >>"$out/cache.jsonl"
    echo "round $round of 3" >&2
done
python3 "$here/table.py" "$out/encode.jsonl" "$out/cache.jsonl"
