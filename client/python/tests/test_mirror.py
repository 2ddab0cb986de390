"""The synchronous client is the asynchronous one without its waiting."""

import filecmp
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent


def test_the_synchronous_client_is_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, HERE / "mirror.py", tmp_path], check=True)
    made = sorted(path.name for path in tmp_path.iterdir())
    committed = sorted(path.name for path in (HERE / "src" / "latentd" / "_sync").glob("*.py"))
    assert made == committed
    _, different, missing = filecmp.cmpfiles(tmp_path, HERE / "src" / "latentd" / "_sync", made, shallow=False)
    assert not different and not missing, "run client/python/mirror.py"
