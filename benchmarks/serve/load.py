"""A client that asks the same requests over and over, on many connections, in a process of its own.

It knows just enough of HTTP to see where an answer ends, so that the servers and not the client are measured.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from time import perf_counter
from typing import Any

Check = Callable[[bytes, bytes, bytes], None]
"""Gets a request, and its answer's head and body."""


class Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, and sends the next one.

    :param pace: seconds between two requests; None to send the next one at once.
    :ivar seconds: of each request.
    :ivar other: answers whose status was not 200.
    """

    def __init__(self, requests: Iterator[bytes], pace: float | None, check: Check | None = None) -> None:
        self._requests, self._pace, self._check = requests, pace, check
        self.seconds: list[float] = []
        self.other = 0
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._buffer, self._size = bytearray(), 0
        self._due = perf_counter()
        self._next()

    def _next(self) -> None:
        if self._pace is not None:
            # Late answers do not move the times of those that follow: their wait counts.
            wait = self._due - perf_counter()
            if wait > 0:
                asyncio.get_running_loop().call_later(wait, self._send)
                return
        else:
            self._due = perf_counter()
        self._send()

    def _send(self) -> None:
        if self.closed:
            return
        self._sent = next(self._requests)
        self._transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._size:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            self.other += b" 200 " not in head[:20]
            self._length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            self._size = end + 4 + self._length
        if len(self._buffer) >= self._size:
            self.seconds.append(perf_counter() - self._due)
            if self._check is not None:
                content, begin = bytes(self._buffer), self._size - self._length
                self._check(self._sent, content[:begin], content[begin:])
            self._buffer, self._size = bytearray(), 0
            if self._pace is not None:
                self._due += self._pace
            self._next()


def post(path: str, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    return head % (path.encode(), len(body), body)


async def _load(port: int, bodies: list[bytes], connections: int, seconds: float, rate: float | None) -> dict[str, Any]:
    requests = cycle([post("/v1/embeddings", body) for body in bodies])
    pace = None if rate is None else connections / rate
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Connection(requests, pace), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(1)
    before, began = [len(each.seconds) for each in made], perf_counter()
    await asyncio.sleep(seconds)
    took = perf_counter() - began
    waits = sorted(w for each, n in zip(made, before, strict=True) for w in each.seconds[n:])
    return {
        "rate": len(waits) / took,
        "all": sum(len(each.seconds) for each in made),
        "p50": waits[len(waits) // 2] if waits else None,
        "p99": waits[len(waits) * 99 // 100] if waits else None,
        "other": sum(each.other for each in made),
    }


if __name__ == "__main__":
    options = json.load(sys.stdin)
    bodies = [body.encode() for body in options.pop("bodies")]
    run: Any = asyncio.run
    with suppress(ImportError):
        import uvloop

        run = uvloop.run
    print(json.dumps(run(_load(bodies=bodies, **options))))
