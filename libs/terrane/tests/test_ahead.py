"""Reading ahead: in order, no further than it may, and with the errors of who reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from terrane.ahead import read_ahead

pytestmark = pytest.mark.unit


def test_items_come_in_order_made_in_another_thread() -> None:
    makers = []

    def items() -> Iterator[int]:
        for number in range(100):
            makers.append(threading.current_thread())
            yield number

    assert list(read_ahead(items())) == list(range(100))
    assert set(makers) != {threading.current_thread()}


def test_what_making_an_item_raises_is_raised_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    came: list[int] = []
    with pytest.raises(ValueError, match="broken"):
        _take(read_ahead(items()), came)
    assert came == [1]


def _take(items: Iterator[int], came: list[int]) -> None:
    for item in items:
        came.append(item)


def test_no_more_is_made_than_may_wait() -> None:
    made: list[int] = []
    all_made = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if len(made) == 4:
                all_made.set()
            yield number

    ahead = read_ahead(items(), depth=2)
    assert next(ahead) == 0
    assert all_made.wait(5)
    # One is used, two wait, one is in the hands of who makes them.
    assert len(made) == 4
    ahead.close()
    assert len(made) == 4


def test_a_reader_that_is_left_early_leaves_no_thread() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(1000)))
    next(ahead)
    ahead.close()
    assert threading.active_count() == before
