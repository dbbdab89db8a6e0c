"""What the figures are measured on: a Postgres of its own, and the source as a process beside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from analytics.source.client import SourceClient
from analytics.warehouse.tables import Column, Table
from benchmarks.report import ROOT
from terrane.postgres import PostgresResource

USERS = Table(
    "users",
    (
        Column("id", "bigint", ""),
        Column("name", "text not null", ""),
        Column("language", "text", ""),
        Column("plan", "text", ""),
        Column("created_at", "timestamptz not null", ""),
        Column("updated_at", "timestamptz not null", ""),
    ),
    "id",
    "updated_at",
)
ENTRIES = Table(
    "journal_entries",
    (
        Column("id", "bigint", ""),
        Column("user_id", "bigint not null", ""),
        Column("created_at", "timestamptz not null", ""),
        Column("game_type", "text not null", ""),
        Column("place", "text", ""),
        Column("mood", "smallint", ""),
        Column("words", "integer not null", ""),
        Column("minutes", "double precision not null", ""),
    ),
    "id",
    "created_at",
)


@contextmanager
def source(rows_a_day: int) -> Iterator[str]:
    """The address of a source with so many rows a day."""
    command = [sys.executable, "-m", "benchmarks.flow.source", str(rows_a_day)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def client(url: str) -> SourceClient:
    return SourceClient(url, "key", timeout_s=60, attempts=1, backoff_s=0)


def execute(warehouse: PostgresResource, *statements: str) -> None:
    """Each by itself, so that one may be a `vacuum`."""
    with warehouse.connect(autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
