#!/bin/sh
# Runs the attacks named, or all, against the binary that LATENTD_BIN names: tests/load/run.sh [ATTACK...]
# Python with the client's dependencies: LATENTD_PYTHON, or python3. Each attack prints one line and fails if a promise is broken.
set -eu
cd "$(dirname "$0")"
: "${LATENTD_BIN:?name the binary, such as target/release/latentd}"
LATENTD_BIN=$(cd "$OLDPWD" && realpath "$LATENTD_BIN")
export LATENTD_BIN
[ $# -gt 0 ] || set -- $(ls ./*.py | sed 's,^\./,,; s,\.py$,,' | grep -v '^_')
failed=
for attack in "$@"; do
    "${LATENTD_PYTHON:-python3}" "$attack.py" || failed="$failed $attack"
done
[ -z "$failed" ] || { echo "broken:$failed" >&2; exit 1; }
