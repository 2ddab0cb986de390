"""Libraries that are not needed until somebody asks for their objects."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def needed(module: str, extra: str, call: str) -> Any:
    """The module `module`, which comes with the extra `extra` and is needed by `call`."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != module.split(".")[0]:
            raise
        message = f"{call} needs {extra}, which is not installed: pip install 'latentd[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from None


def frame(columns: dict[str, Any]) -> Any:
    """A pandas DataFrame of columns."""
    return needed("pandas", "pandas", "to_pandas()").DataFrame(columns)
