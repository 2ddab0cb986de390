"""An endpoint of OpenAI's API that answers every conversation after a while, to measure how many calls a job sustains.

usage: endpoint.py [--port 8321] [--seconds 1.0]
Then: latentd provider add slow --url http://127.0.0.1:8321/v1 --model m --max-in-flight 256 --skip-probe
      latentd explain MODEL/SAE --latents 0.. --provider slow
Ends with Ctrl-C and prints calls, seconds from the first answer to the last, and calls a second, of stretches of 5 s, too.
"""

import argparse
import asyncio
import json
import signal
import time

BODY = json.dumps({
    "id": "x", "object": "chat.completion", "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "[EXPLANATION]: something"}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010},
}).encode()
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
answered = []


async def serve(reader, writer, seconds):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            await asyncio.sleep(seconds)
            writer.write(REPLY)
            answered.append(time.monotonic())
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


async def main(port, seconds):
    server = await asyncio.start_server(lambda r, w: serve(r, w, seconds), "127.0.0.1", port, limit=1 << 20)
    async with server:
        await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8321)
parser.add_argument("--seconds", type=float, default=1.0)
arguments = parser.parse_args()
signal.signal(signal.SIGTERM, signal.default_int_handler)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    asyncio.run(main(arguments.port, arguments.seconds))
except KeyboardInterrupt:
    pass
if answered:
    first, last = answered[0], answered[-1]
    stretches = [0] * (int(last - first) // 5 + 1)
    for moment in answered:
        stretches[int(moment - first) // 5] += 1
    print(f"{len(answered)} calls in {last - first:.1f} s: {len(answered) / max(last - first, 1e-9):.1f} calls/s")
    print("calls/s in stretches of 5 s:", [n / 5 for n in stretches])
