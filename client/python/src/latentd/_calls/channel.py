"""Where a server is, and how the connection is set up."""

from __future__ import annotations

from typing import Any

PORT = 50051
"""The port that the server listens on unless it is told another."""

CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", 256 << 20),
    ("grpc.max_send_message_length", 256 << 20),
    ("grpc.keepalive_time_ms", 30_000),
)
"""Encode replies of many tokens are larger than grpc's default of 4 MiB."""


def target(address: str) -> str:
    """What grpc calls an address: `host:port`, `host` alone, `http://host:port`, or `unix:/path`."""
    text = address.strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text if text.startswith("unix:") else _with_port(text, address)
    if scheme == "https":
        raise ValueError(
            f"{address!r}: the server has no TLS yet. Use http://, and if it is on another machine a tunnel: "
            f"ssh -N -L {PORT}:127.0.0.1:{PORT} user@server"
        )
    if scheme == "unix":
        return f"unix:{rest}"
    if scheme not in ("http", "grpc"):
        raise ValueError(f"{address!r}: {scheme}:// is not known; write host:port or http://host:port")
    return _with_port(rest.rstrip("/"), address)


def _with_port(place: str, address: str) -> str:
    if not place or any(character in place for character in "/?#@ "):
        raise ValueError(f"{address!r} is no address of a server; write host:port or http://host:port")
    if place.startswith("["):
        return place if "]:" in place else f"{place}:{PORT}"
    if place.count(":") > 1:
        return f"[{place}]:{PORT}"
    host, separator, port = place.partition(":")
    if separator and not (host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} has no port between 1 and 65535")
    return place if separator else f"{host}:{PORT}"
