"""`python -m benchmarks.features.load <port> <connections> <rows> <seconds>`: asks as fast as a feature server answers.

Every connection sends its next question when it has its answer. Questions are made beforehand and answers are only
counted, so that this process has time to spare; it tells how much. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time

from benchmarks.features.contender import FEATURES

IDS = 100_000
QUESTIONS = 400
WARM_UP_S = 0.5
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def question(ids: list[int]) -> bytes:
    """The request for eight features of some users, in bytes."""
    body = json.dumps({"features": [f"users:{name}" for name in FEATURES], "entities": {"user_id": ids}}).encode()
    head = "POST /get-online-features HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Asker(asyncio.Protocol):
    """One connection; appends the seconds of each answer to `took`, once `began` is set."""

    def __init__(self, questions: list[bytes], took: list[float]) -> None:
        self.counting, self.answers = False, 0
        self.lost = False
        self._questions, self._took = questions, took
        self._at = random.randrange(len(questions))  # noqa: S311 - any place will do
        self._missing = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self._head, 0, end)
            if not self._head.startswith(b"HTTP/1.1 200") or length is None:
                raise SystemExit(f"the server answered {self._head[:300]!r}")
            self._missing = int(length[1]) - (len(self._head) - end - 4)
            self._head = b""
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self.answers += 1
            if self.counting:
                self._took.append(time.perf_counter() - self._sent)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def close(self) -> None:
        self._transport.close()

    def _ask(self) -> None:
        self._at = (self._at + 1) % len(self._questions)
        self._sent = time.perf_counter()
        self._transport.write(self._questions[self._at])  # pyright: ignore[reportAttributeAccessIssue]


async def load(port: int, connections: int, rows: int, seconds: float) -> dict[str, float]:
    """All answers, those a second after warming up, their milliseconds, and how much of a processor asking took."""
    questions = [question(random.sample(range(1, IDS + 1), rows)) for _ in range(QUESTIONS)]
    took: list[float] = []
    loop = asyncio.get_running_loop()
    askers = [
        (await loop.create_connection(lambda: Asker(questions, took), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP_S)
    for asker in askers:
        asker.counting = True
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    for asker in askers:
        if asker.lost:
            raise SystemExit("the server closed a connection in the middle of the measurement")
        asker.counting = False
        asker.close()
    took.sort()
    return {
        "answers": sum(asker.answers for asker in askers),
        "per_second": len(took) / wall,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "asking_share": cpu / wall,
    }


def main() -> None:
    import uvloop

    port, connections, rows = map(int, sys.argv[1:4])
    print(json.dumps(uvloop.run(load(port, connections, rows, float(sys.argv[4])))))


if __name__ == "__main__":
    main()
