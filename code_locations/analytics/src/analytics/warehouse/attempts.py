"""A transaction that is begun again when what it reads changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from analytics.source.window import WindowChanged

if TYPE_CHECKING:
    import psycopg

ATTEMPTS = 3
Taken = TypeVar("Taken")


def until_it_stands_still(
    connection: psycopg.Connection, take: Callable[[], Taken], gave_up: Callable[[WindowChanged], Exception]
) -> Taken:
    """What `take` returns, in a transaction of its own; raises `gave_up` of the last change after ATTEMPTS of them."""
    for left in reversed(range(ATTEMPTS)):
        try:
            with connection.transaction():
                return take()
        except WindowChanged as change:
            if not left:
                raise gave_up(change) from change
    raise AssertionError("the last attempt returns or raises")
