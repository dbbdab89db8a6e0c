"""Which failures of a store are tried again, and what they say."""

from __future__ import annotations

from typing import Any

import dagster as dg
import psycopg
import pytest
from redis.exceptions import AuthenticationError, ConnectionError  # noqa: A004 - Redis' own name

from terrane.postgres import PostgresResource
from terrane_features.failures import explained

pytestmark = pytest.mark.unit
WAREHOUSE = PostgresResource(host="db", port="5432", user="u", password="", database="warehouse")


class Feast:
    def online_store(self) -> str:
        return "Redis at cache:6379"


def failure_of(error: Exception) -> dg.Failure:
    feast: Any = Feast()
    with pytest.raises(dg.Failure) as caught, explained("doing so", "All is left.", WAREHOUSE, feast):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "again", "where"),
    [
        (psycopg.OperationalError("the connection is lost"), True, "Postgres at db:5432, database warehouse"),
        (psycopg.errors.DeadlockDetected("deadlock detected"), True, "Postgres at db:5432, database warehouse"),
        (psycopg.errors.DiskFull("no room"), True, "Postgres at db:5432, database warehouse"),
        (psycopg.errors.UndefinedColumn("no such column"), False, "Postgres at db:5432, database warehouse"),
        (ConnectionError("refused"), True, "Redis at cache:6379"),
        (AuthenticationError("wrong"), False, "Redis at cache:6379"),
    ],
)
def test_what_may_pass_is_tried_again_and_what_will_not_is_not(error: Exception, again: bool, where: str) -> None:
    failure = failure_of(error)
    assert failure.allow_retries is again
    assert str(failure.description).startswith(f"{where} failed while doing so: ")
    assert ("re-execute" in str(failure.description)) is True


def test_what_is_no_stores_passes_as_it_is() -> None:
    feast: Any = Feast()
    with pytest.raises(KeyError), explained("doing so", "All is left.", WAREHOUSE, feast):
        raise KeyError("x")
