"""The running server."""

from __future__ import annotations

from dataclasses import dataclass

from ..v1 import server_pb2
from .record import Record


@dataclass(frozen=True, eq=False, repr=False)
class ServerInfo(Record):
    """The running server. `limits` and `components` hold what GetServerInfo calls them."""

    version: str
    device: str
    dtype: str
    resident_bytes: int
    limits: dict[str, int]
    capabilities: dict[str, list[str]]
    components: dict[str, bool]

    @classmethod
    def _from_pb(cls, pb: server_pb2.ServerInfo) -> ServerInfo:
        return cls(
            version=pb.version,
            device=pb.device.name,
            dtype=pb.device.dtype,
            resident_bytes=pb.device.resident_bytes,
            limits={d.name: getattr(pb.limits, d.name) for d in pb.limits.DESCRIPTOR.fields},
            capabilities={d.name: list(getattr(pb.capabilities, d.name)) for d in pb.capabilities.DESCRIPTOR.fields},
            components={c.component: c.serving for c in pb.components},
        )

    def __repr__(self) -> str:
        return f"<ServerInfo {self.version} on {self.device}, {self.dtype}>"
