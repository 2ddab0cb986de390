"""As much of an HTTP/2 client as an attack needs: it begins calls and sends bytes as the server's windows allow."""

from __future__ import annotations

import socket
import struct


class Connection:
    """One connection with one call on it."""

    def __init__(self, address: str, path: str) -> None:
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=5)
        self._stream_window, self._window = 65535, 65535
        self._settings = False
        self.closed = False
        self._unread = b""
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b""))
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", address),
                   ("te", "trailers"), ("content-type", "application/grpc")]  # fmt: skip
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)
        self._socket.sendall(_frame(1, 4, 1, block))

    def send(self, data: bytes) -> int:
        """Sends as much of the data as the windows allow within half a second, and returns how much that was."""
        sent = 0
        while sent < len(data) and not self.closed:
            room = min(self._window, self._stream_window, 16384, len(data) - sent)
            if room <= 0 or not self._settings:
                if not self.read(0.5):
                    break
                continue
            try:
                self._socket.settimeout(5)
                self._socket.sendall(_frame(0, 0, 1, data[sent : sent + room]))
            except OSError:
                self.closed = True
                break
            sent += room
            self._window -= room
            self._stream_window -= room
        return sent

    def read(self, seconds: float) -> bool:
        """Reads what the server says; false if it says nothing. A reply's end, or that of the connection, sets `closed`."""
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        self._unread += data
        while len(self._unread) >= 9:
            length = int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBI", self._unread[3:9])
            body, self._unread = self._unread[9 : 9 + length], self._unread[9 + length :]
            self._take(kind, flags, stream, body)
        return True

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == 4 and not flags & 1:
            for at in range(0, len(body), 6):
                name, value = struct.unpack(">HI", body[at : at + 6])
                if name == 4:
                    self._stream_window += value - 65535
            self._settings = True
            self._socket.sendall(_frame(4, 1, 0, b""))
        elif kind == 6 and not flags & 1:
            self._socket.sendall(_frame(6, 1, 0, body))
        elif kind == 8:
            more = int.from_bytes(body, "big")
            if stream == 0:
                self._window += more
            else:
                self._stream_window += more
        elif kind in (3, 7) or (kind in (0, 1) and flags & 1):
            self.closed = True

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + body


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()
