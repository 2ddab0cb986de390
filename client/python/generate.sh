#!/usr/bin/env bash
# Makes src/latentd/v1/*_pb2*.py from proto/latentd/v1. The stubs are committed; a test holds that they are up to date.
# usage: generate.sh [OUT_DIR]   (needs grpcio-tools 1.71.2, whose code loads under protobuf 5.29 to 7)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/src}
proto=$(cd "$here/../../proto" && pwd)
mkdir -p "$out/latentd/v1"
"${PYTHON:-python3}" -m grpc_tools.protoc -I "$proto" \
    --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" "$proto"/latentd/v1/*.proto
