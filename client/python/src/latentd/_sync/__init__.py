"""The synchronous client: the calls, one service a file. Made of `_aio` by `mirror.py`."""

from .client import Client
from .handle import SaeHandle

__all__ = ["Client", "SaeHandle"]
