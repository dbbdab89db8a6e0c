"""`python -m benchmarks.features.probe <port> <seconds> <large> <endless>`: small questions beside others'.

Two connections ask in turns, one question each 5 ms, while `large` connections ask for 5,000 users without a pause and
`endless` clients send a header that never ends. Prints JSON: milliseconds of the questions (p50, p99, worst of all), of
/health, and how many were asked.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

from benchmarks.features.load import IDS, question

PAUSE_S = 0.005
HEALTH = b"GET /health HTTP/1.1\r\nHost: bench\r\n\r\n"
PIECE = b"x-pad: " + b"y" * 500 + b"\r\n"
ROWS = 5000


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode())
    await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))


async def timed(port: int, until: float, request: bytes | None) -> list[float]:
    """Milliseconds of each answer; one-entity questions where no request is given."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    while time.monotonic() < until:
        asked = request or question([random.randrange(1, IDS)])  # noqa: S311 - any user will do
        began = time.perf_counter()
        await answer(reader, writer, asked)
        took.append((time.perf_counter() - began) * 1e3)
        await asyncio.sleep(PAUSE_S)
    writer.close()
    return took


async def large(port: int, until: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    while time.monotonic() < until:
        await answer(reader, writer, question(list(range(1, ROWS + 1))))
    writer.close()


async def endless(port: int, until: float) -> None:
    """Sends a header until it is refused, and begins again."""
    while time.monotonic() < until:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: bench\r\n")
            while time.monotonic() < until:
                writer.write(PIECE)
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            pass
        writer.close()


async def main() -> None:
    port, seconds, background, slow = map(int, sys.argv[1:5])
    until = time.monotonic() + seconds
    others = [asyncio.create_task(large(port, until)) for _ in range(background)]
    others += [asyncio.create_task(endless(port, until)) for _ in range(slow)]
    await asyncio.sleep(0.3)
    one, health = await asyncio.gather(timed(port, until, None), timed(port, until, HEALTH))
    await asyncio.gather(*others)
    one.sort()
    print(
        json.dumps(
            {
                "p50_ms": one[len(one) // 2],
                "p99_ms": one[int(len(one) * 0.99)],
                "worst_ms": max(one[-1], *health),
                "asked": len(one) + len(health),
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
