"""A server that may open 256 files, and 300 connections. Promised: a cache is built all the same, and the log says what is short."""

import socket

from _server import SAE, Server

FILES, CONNECTIONS = 256, 300


def main() -> None:
    with Server({"limits.handshake_seconds": 600}, files=FILES) as server:
        server.load_small()
        corpus = server.corpus(3000)
        host, port = server.address.rsplit(":", 1)
        opened = [socket.create_connection((host, int(port))) for _ in range(CONNECTIONS)]
        job = server.client.build_cache([SAE], [corpus], cache_id="c", context_length=32)
        server.client.wait(job)
        assert server.said("too many connections"), server.log[-3:]
        print(f"descriptors: {FILES} files, {len(opened)} connections: the cache is built")


if __name__ == "__main__":
    main()
