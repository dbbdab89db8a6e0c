"""What goes wrong, in two kinds: what may pass by itself, and what somebody has to see to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from terrane.postgres import PostgresResource


class Temporary(Exception):
    """May pass: the step is tried again."""


class Permanent(Exception):
    """Will not pass: the step fails at once, and the message says what to do."""


@contextmanager
def as_failures() -> Iterator[None]:
    """Ends the step as its retry policy should see it."""
    try:
        yield
    except Temporary as error:
        raise dg.Failure(str(error), allow_retries=True) from error
    except Permanent as error:
        raise dg.Failure(str(error), allow_retries=False) from error


@contextmanager
def database_errors(warehouse: PostgresResource, doing: str) -> Iterator[None]:
    """Says of an error of the warehouse where it is, what was being done, and what to do."""
    import psycopg

    place = f"the warehouse {warehouse.host}:{warehouse.port}/{warehouse.database}"
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Temporary(
            f"{place} was lost while {doing}: {_line(error)}. What was not yet committed is rolled back and what was "
            "is kept; see that Postgres runs, then run again"
        ) from error
    except psycopg.Error as error:
        raise Permanent(
            f"{place} refused what was asked while {doing}: {_line(error)}. Nothing of it is kept; compare the table "
            "with its columns in defs.yaml, then run again"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
