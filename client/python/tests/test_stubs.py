"""The committed stubs are those that the protos give."""

import filecmp
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent


def test_stubs_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([HERE / "generate.sh", tmp_path], check=True, env={**os.environ, "PYTHON": sys.executable})
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*_pb2*.py*"))
    assert made
    _, different, missing = filecmp.cmpfiles(tmp_path, HERE / "src", map(str, made), shallow=False)
    assert not different and not missing, "run client/python/generate.sh"
