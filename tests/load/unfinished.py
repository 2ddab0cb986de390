"""40 calls begin a message of 60 MB, send all of it but the last byte as fast as they may, and stop. Promised: the server grows by
less than its budget and some, ends every call within its time limit, and answers others."""

import threading

from _http2 import Connection
from _server import SAE, Peak, Server, mb, until

CALLS, BYTES = 40, 60_000_000
BUDGET = 256 << 20
SECONDS = 5


def main() -> None:
    settings = {"limits.buffer_bytes": 2 * BUDGET, "limits.message_seconds": SECONDS}
    with Server(settings) as server:
        server.load_small()
        message = b"\0" + BYTES.to_bytes(4, "big") + bytes(BYTES - 1)
        calls = [Connection(server.address, "/latentd.v1.ActivationService/Encode") for _ in range(CALLS)]

        def send(call: Connection) -> None:
            sent = 0
            while not call.closed and sent < len(message):
                sent += call.send(message[sent : sent + (1 << 20)])
            while not call.closed:
                call.read(1)

        with Peak(server) as peak:
            threads = [threading.Thread(target=send, args=(call,), daemon=True) for call in calls]
            for thread in threads:
                thread.start()
            server.client.encode(["word"], SAE)
            took = until("every call is ended", lambda: all(call.closed for call in calls), 180)
        assert peak.grown < 1.5 * BUDGET, peak.grown
        print(f"unfinished: {CALLS} messages of {mb(BYTES)}, +{mb(peak.grown)}, all ended in {took:.0f} s")


if __name__ == "__main__":
    main()
