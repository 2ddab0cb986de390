"""Connections that say nothing, and too many of them. Promised: those without a handshake are closed in time, those over the limit at
once with a word in the log, and honest clients are served before, after, and on connections that they have."""

import socket

from _server import SAE, Server, until

LIMIT, HALF_OPEN, SECONDS = 64, 200, 3


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1024) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def main() -> None:
    with Server({"limits.max_connections": LIMIT, "limits.handshake_seconds": SECONDS}) as server:
        server.load_small()
        host, port = server.address.rsplit(":", 1)
        opened = [socket.create_connection((host, int(port))) for _ in range(HALF_OPEN)]
        for connection in opened:
            connection.setblocking(False)
        server.client.encode(["word"], SAE)
        left = list(opened)

        def all_ended() -> bool:
            left[:] = [connection for connection in left if not ended(connection)]
            return not left

        took = until("half-open connections are closed", all_ended, SECONDS + 10)
        until("the log speaks of it", lambda: server.said("too many connections"), 5)
        server.client.encode(["word"], SAE)
        print(f"connections: {HALF_OPEN} half-open ones with {LIMIT} places, all closed in {took:.1f} s")


if __name__ == "__main__":
    main()
