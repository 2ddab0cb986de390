"""The examples of the README run as they stand, but for the address."""

import inspect
import re
from pathlib import Path

import pytest

from latentd import Client

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PRINTED = ["<<", "succeeded", "succeeded", "<<"]
"""What each example is sure to print."""


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_readme_example(number: int, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(EXAMPLES[number].replace("localhost:50051", address), f"README[{number}]", "exec"), {})
    assert PRINTED[number] in capsys.readouterr().out


def test_the_readme_names_every_call() -> None:
    named = set(re.findall(r"`(\w+)`", README))
    calls = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert calls - named == {"close"}
