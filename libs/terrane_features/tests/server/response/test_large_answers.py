"""Large answers: their memory is their text's, all of them share a budget, and their length is known before."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import orjson
import pytest

from terrane_features.server.metrics import Metrics
from terrane_features.server.request.errors import RequestError
from terrane_features.server.request.keys import Commands
from terrane_features.server.request.parse import Request
from terrane_features.server.request.plan import EchoedKey, Plan, ViewRead
from terrane_features.server.response import read
from terrane_features.server.response.answer import LargeAnswer
from terrane_features.server.response.budget import Budget
from terrane_features.server.response.json_values import NO_TIME, LruCache, decode, timestamp_text
from terrane_features.server.response.read import FeatureReader
from terrane_features.server.response.vectors import ViewVectors

pytestmark = pytest.mark.unit
INT64, AT = 4, b"\x08\x80\xf2\xd4\xca\x06"
COMMANDS = Commands((("user_id", INT64),), b"*4\r\n$5\r\nHMGET\r\n", b"", b"p", b"")


class Cells:
    """A store in which every row is the same; it counts the answers that are under way."""

    def __init__(self, *cells: bytes | None) -> None:
        self.cells, self.asked = cells, 0

    async def ask(self, commands: Any) -> list[Any]:
        self.asked += 1
        await asyncio.sleep(0)
        return [list(self.cells) for _ in commands]


def plan(width: int = 2) -> Plan:
    view = ViewRead("v", COMMANDS, (INT64,) * width, 0)
    columns = tuple((0, n) for n in range(width))
    return Plan((EchoedKey("user_id", "user_id", INT64),), (view,), (("user_id", INT64),), columns, b"]}", width=width)


def question(rows: int) -> Request:
    return Request(("v:a", "v:b"), {"user_id": list(range(rows)), "nobody": ["x"] * rows}, rows, False, False)


async def text_of(reader: FeatureReader, rows: int) -> bytes:
    answer = await reader.answer(question(rows), plan())
    if isinstance(answer, bytes):
        return answer
    pieces = list(answer)
    answer.close()
    assert sum(map(len, pieces)) == answer.length
    return b"".join(pieces)


@pytest.mark.parametrize("cells", [(b"\x20\x07", b"\x20\x08", AT), (b"", None, AT), (None, None, None)])
def test_a_large_answer_is_the_small_ones_one_after_another(cells: tuple) -> None:
    reader = FeatureReader(Cells(*cells), Metrics())
    large, small = (json.loads(asyncio.run(text_of(reader, rows))) for rows in (5000, 10))
    for many, few in zip(large["results"][1:], small["results"][1:], strict=True):
        assert many == {name: few[name] * 500 for name in few}
    assert large["results"][0]["values"] == list(range(5000))


def test_long_texts_are_large_however_few_and_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"\x12\xe0\x5d" + b"x" * 12_000
    reader = FeatureReader(Cells(text, text, AT), Metrics())
    few = asyncio.run(reader.answer(question(20), plan()))
    assert isinstance(few, LargeAnswer)
    few.close()
    monkeypatch.setattr(read, "LONGEST_ANSWER", 1 << 20)
    for rows in (100, 2001):
        with pytest.raises(RequestError) as refused:
            asyncio.run(reader.answer(question(rows), plan()))
        assert refused.value.status == 413
    assert reader._budget._held == 0


def test_large_answers_wait_for_one_another_and_small_ones_do_not() -> None:
    async def play() -> None:
        reader = FeatureReader(Cells(b"\x20\x07", b"\x20\x08", AT), Metrics())
        reader._budget = Budget(5000 * 2 * read.VALUE_BYTES)
        first = await reader.answer(question(5000), plan())
        waiting = asyncio.create_task(reader.answer(question(5000), plan()))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert isinstance(await reader.answer(question(5), plan()), bytes)
        assert isinstance(first, LargeAnswer)
        first.close()
        second = await asyncio.wait_for(waiting, 5)
        assert isinstance(second, LargeAnswer)
        second.close()
        assert reader._budget._held == 0

    asyncio.run(play())


def test_long_texts_take_no_more_than_there_is_and_are_asked_to_come_back() -> None:
    text = b"\x12\xb8\x17" + b"x" * 3_000

    async def play() -> None:
        reader = FeatureReader(Cells(text, text, AT), Metrics())
        reader._budget = Budget(1 << 20)
        first = await reader.answer(question(120), plan())
        assert isinstance(first, LargeAnswer)
        # One that is large by its bytes, and one of which the number of values told nothing.
        for rows in (120, 2001):
            with pytest.raises(RequestError) as refused:
                await reader.answer(question(rows), plan())
            assert refused.value.status == 503
            assert reader._budget._held < 1 << 20
        first.close()
        after = await reader.answer(question(120), plan())
        assert isinstance(after, LargeAnswer)
        after.close()
        assert reader._budget._held == 0

    asyncio.run(play())


def test_an_answer_that_cannot_be_made_keeps_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[bytes]:
        raise MemoryError

    monkeypatch.setattr(read, "_echoes", broken)
    reader = FeatureReader(Cells(b"\x20\x07", b"\x20\x08", AT), Metrics())
    with pytest.raises(MemoryError):
        asyncio.run(reader.answer(question(5000), plan()))
    assert reader._budget._held == 0


def test_one_who_gave_up_waiting_keeps_no_share() -> None:
    async def play() -> None:
        budget = Budget(100)
        one = await budget.take(80)
        gone, after = asyncio.create_task(budget.take(50)), asyncio.create_task(budget.take(60))
        await asyncio.sleep(0)
        gone.cancel()
        one.release()
        share = await asyncio.wait_for(after, 5)
        share.hold(90)
        assert budget._held == 90
        share.release()
        share.release()
        assert budget._held == 0

    asyncio.run(play())


def test_what_is_kept_of_a_large_answer_takes_little_more_than_its_text() -> None:
    program = f"""
import sys
sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
from test_large_answers import memory_of_answers
print(memory_of_answers())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    grown, held = map(float, done.stdout.split()[-2:])
    assert grown < 4 * held + 4, f"{held:.1f} MB of text hold {grown:.1f} MB"


def memory_of_answers() -> str:
    """How many MB the process grows by eight answers of 100,000 values, and how many MB of text those hold."""
    from pathlib import Path

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    values, times = LruCache(decode, None), LruCache(timestamp_text, NO_TIME)
    rows = [[*[b"\x20" + bytes([n]) for n in range(20)], AT] for _ in range(200)]
    before, kept = resident(), []
    for _ in range(8):
        view = ViewVectors(ViewRead("v", COMMANDS, (INT64,) * 20, 0), values, times)
        for _ in range(25):
            view.add(rows)
        kept.append(view)
    assert orjson.loads(kept[0].vector(7))["values"][-1] == 7
    return f"{resident() - before} {sum(view.held for view in kept) / 2**20}"
