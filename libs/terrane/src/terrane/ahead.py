"""Making the next item while the last one is used: what reads and what writes then take their time at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

DEPTH = 2
POLL_S = 0.1

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], depth: int = DEPTH) -> Generator[Item, None, None]:
    """The items, made in a thread of their own while the last one is being used; at most `depth` wait.

    What making one raises is raised where it would have come. Whoever may leave early closes it, which ends the thread.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    given_up = threading.Event()

    def offer(kind: str, item: Any) -> bool:
        while not given_up.is_set():
            try:
                waiting.put((kind, item), timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not offer("item", item):
                    return
            offer("end", None)
        except BaseException as error:
            offer("error", error)

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    try:
        while True:
            kind, item = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        given_up.set()
        producer.join()
