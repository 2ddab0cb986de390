"""The asyncio client: the calls, one service a file. `_sync` is made of these files by `mirror.py`."""

from .client import AsyncClient
from .handle import AsyncSaeHandle

__all__ = ["AsyncClient", "AsyncSaeHandle"]
