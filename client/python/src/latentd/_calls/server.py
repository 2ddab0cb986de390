"""Calls about the server."""

from __future__ import annotations

from .. import _types as t
from ..v1 import server_pb2, server_pb2_grpc
from .call import Call


def server_info() -> Call[t.ServerInfo]:
    """GetServerInfo."""
    request = server_pb2.GetServerInfoRequest()
    return Call(server_pb2_grpc.ServerServiceStub, "GetServerInfo", request, t.ServerInfo._from_pb)
