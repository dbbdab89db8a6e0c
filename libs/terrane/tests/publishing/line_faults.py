"""Faults at every line of the code that publishes: the process dies there, an error comes up, or another goes first."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import terrane
import terrane.object_store.compare_and_swap
import terrane.publishing

FILES = {
    str(path)
    for path in (
        *Path(terrane.publishing.__file__).parent.glob("*.py"),
        Path(terrane.object_store.compare_and_swap.__file__),
    )
}
WAIT_S = 20
# How long another gets to finish while this one stands still: where it waits for a lock, no time would be enough.
OTHERS_TURN_S = 0.2
Line = tuple[str, int]


class Killed(BaseException):
    """The process dies here. No `except Exception` sees it; what the system does for the dead, `finally` does here."""


def lines_of(action: Callable[[], object]) -> list[Line]:
    """The lines of publishing that the action runs, each once, in order."""
    found: dict[Line, None] = {}
    _traced(action, lambda line: found.setdefault(line))
    return list(found)


def fail_at(line: Line, error: BaseException, action: Callable[[], object]) -> BaseException | None:
    """Runs the action and raises the error when it first comes to the line; returns what came out of it."""

    def at(reached: Line) -> None:
        if reached == line:
            raise error

    return _raised(action, at)


def steps_of(action: Callable[[], object], files: tuple[str, ...]) -> int:
    """How many times the action comes to a line of those files, each line as often as it does."""
    found = 0

    def at(reached: Line) -> None:
        nonlocal found
        found += reached[0].endswith(files)

    _traced(action, at)
    return found


def fail_at_step(
    number: int, error: BaseException, action: Callable[[], object], files: tuple[str, ...]
) -> BaseException | None:
    """As `fail_at`, when it comes to a line of those files for that time, counted over all of their lines."""
    left = number

    def at(reached: Line) -> None:
        nonlocal left
        left -= reached[0].endswith(files)
        if not left:
            raise error

    return _raised(action, at)


def _raised(action: Callable[[], object], at: Callable[[Line], None]) -> BaseException | None:
    """What came out of the action while each line that it reached was looked at."""
    try:
        _traced(action, at)
    except BaseException as raised:
        return raised
    return None


def stand_still_at(line: Line, action: Callable[[], Any], other: Callable[[], Any]) -> list[Any]:
    """Runs the action up to the line, then all of the other, or as far as it comes, then the rest of both.

    Returns what each returned or raised, the action's first.
    """
    reached, go_on, results = threading.Event(), threading.Event(), {}

    def at(here: Line) -> None:
        if here == line and not reached.is_set():
            reached.set()
            go_on.wait(WAIT_S)

    def run(name: str, function: Callable[[], Any]) -> None:
        try:
            results[name] = function()
        except Exception as error:
            results[name] = error

    first = threading.Thread(target=run, args=("action", lambda: _traced(action, at)))
    second = threading.Thread(target=run, args=("other", other))
    first.start()
    assert reached.wait(WAIT_S), f"the action did not come to {line}"
    second.start()
    second.join(OTHERS_TURN_S)
    go_on.set()
    for thread in (first, second):
        thread.join(WAIT_S)
        assert not thread.is_alive()
    return [results["action"], results["other"]]


def _traced(action: Callable[[], Any], at: Callable[[Line], object]) -> Any:
    def local(frame: FrameType, event: str, _: object):
        if event == "line":
            at((frame.f_code.co_filename, frame.f_lineno))
        return local

    def trace(frame: FrameType, _event: str, _: object):
        return local if frame.f_code.co_filename in FILES else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return action()
    finally:
        sys.settrace(before)
