"""`python -m benchmarks.features.worst_questions <port> <number> <connections> <views>`: valid, none like another.

Of every hundred: one asks for 5,000 users of one view, and every tenth of those for a hundred features of each; ten ask
for features of many views, drawn anew; five give 60,000 values under a name that nobody knows; the others have a name
of 30 KB that nobody knows. Prints JSON: answers by status, bytes, seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter

ROWS = 5000
LONG_NAME = 30_000
UNKNOWN_VALUES = 60_000
FEATURES_A_VIEW = 20


def question(number: int, views: int, chance: random.Random) -> bytes:
    """The body of one question."""
    kind = number % 100
    features, entities = ["view_0:f_0"], {"user_id": [chance.randrange(1, 20_000)]}
    if kind == 0:
        wide = number % 1000 == 0
        some = chance.sample(range(views), 5 if wide else 1)
        features = [f"view_{v}:f_{f}" for v in some for f in range(FEATURES_A_VIEW)]
        start = chance.randrange(1, 15_000)
        entities = {"user_id": list(range(start, start + ROWS))}
    elif kind <= 10:
        features = [f"view_{v}:f_{chance.randrange(FEATURES_A_VIEW)}" for v in chance.sample(range(views), views // 2)]
    elif kind <= 15:
        entities |= {f"unknown {number}": [list(range(UNKNOWN_VALUES))]}  # pyright: ignore[reportArgumentType]
    else:
        entities |= {f"{number} " + "x" * LONG_NAME: [1]}
    return json.dumps({"features": features, "entities": entities, "full_feature_names": True}).encode()


async def ask(port: int, numbers: range, views: int) -> tuple[Counter[int], int]:
    """One connection; the next question goes when the last one is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    statuses, received = Counter(), 0
    chance = random.Random(numbers.start)  # noqa: S311 - the same questions in every run
    for number in numbers:
        body = question(number, views, chance)
        head = "POST /get-online-features HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(answer.lower().split("content-length:")[1].split()[0])
        # 503 is an answer on a machine so busy that Redis was late.
        if answer.split()[1] not in ("200", "503"):
            raise SystemExit(f"{answer}{(await reader.readexactly(length))[:300]!r}")
        statuses[int(answer.split()[1])] += 1
        received += length
        while length:
            length -= len(await reader.read(min(length, 1 << 20)))
    writer.close()
    return statuses, received


async def main() -> None:
    port, number, connections, views = map(int, sys.argv[1:5])
    began, each = time.perf_counter(), number // connections
    parts = [ask(port, range(n * each, (n + 1) * each), views) for n in range(connections)]
    found = await asyncio.gather(*parts)
    statuses = sum((one for one, _ in found), Counter())
    report = {"statuses": statuses, "bytes": sum(b for _, b in found), "seconds": time.perf_counter() - began}
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main())
