#!/usr/bin/env bash
# Measures latentd beside the peers on this machine, in turn, on the same text, model and SAE, and prints ratios.
# usage: compare.sh PEERS_PYTHON MODEL_DIR TEXT_FILE [SAE_DIR]
#   PEERS_PYTHON  a Python with torch, transformers, sae-lens and, for its line, eai-delphi (tests/bench/README.md has the versions)
#   MODEL_DIR     SmolLM2-135M-Instruct as a Hugging Face folder; SAE_DIR defaults to the demo's
# environment: LATENTD (the binary, default target/release/latentd), ROUNDS (3), TOKENS (32768)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=$1 model=$2 text=$3 sae=${4:-$root/deploy/demo/sae-smollm2-135m-l9}
latentd=${LATENTD:-$root/target/release/latentd}
rounds=${ROUNDS:-3} tokens=${TOKENS:-32768}
out=$(mktemp -d)
chmod 755 "$out"
trap 'kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$out"' EXIT

"$latentd" serve --listen 127.0.0.1:0 --data-dir "$out/data" >"$out/server.log" 2>&1 &
server=$!
for _ in $(seq 120); do
    address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$out/server.log" | head -n 1 || true)
    [ -n "$address" ] && "$latentd" --address "$address" info >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$out/server.log" >&2; exit 1; }
    sleep 0.5
done
export LATENTD_ADDRESS=$address
"$latentd" model load bench "$model" >/dev/null
"$latentd" sae load bench/sae "$sae" >/dev/null

# In turn, so that whatever else the machine does falls on all alike.
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    "$python" "$here/peers/encode.py" "$model" "$sae" 2>/dev/null | tee -a "$out/encode.jsonl" >&2
    "$latentd" bench encode --sae bench/sae --json | tee -a "$out/encode.jsonl" >&2
    "$python" "$here/peers/cache.py" "$model" "$sae" "$text" --tokens "$tokens" 2>/dev/null | grep '^{' | tee -a "$out/cache.jsonl" >&2
    "$latentd" bench cache --sae bench/sae --corpus "$text" --tokens "$tokens" --context-length 256 --json | tee -a "$out/cache.jsonl" >&2
done
python3 "$here/table.py" "$out/encode.jsonl" "$out/cache.jsonl"
