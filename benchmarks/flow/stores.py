"""What the figures are measured on: a Postgres of its own, and the source as a process beside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from analytics.components.columns import ColumnSpec, as_columns
from analytics.source.client import SourceClient
from analytics.warehouse.tables import Table
from benchmarks.report import ROOT
from terrane.postgres import PostgresResource

RAW = ROOT / "code_locations/analytics/src/analytics/defs/raw"


def _as_declared(name: str) -> Table:
    """The table as the location's own YAML has it."""
    said = yaml.safe_load((RAW / name / "defs.yaml").read_text())["attributes"]
    columns = as_columns([ColumnSpec(**column) for column in said["columns"]])
    return Table(said["table"], columns, "id", said["time_column"])


DROP = [f"drop schema if exists {schema} cascade" for schema in ("raw", "by_dlt", "by_dlt_staging")]
USERS, ENTRIES = _as_declared("users"), _as_declared("journal_entries")


@contextmanager
def source(rows_a_day: int, answer: str = "") -> Iterator[str]:
    """The address of a source with so many rows a day, or with one page of that content."""
    command = [sys.executable, "-m", "benchmarks.flow.source", str(rows_a_day), *([answer] if answer else [])]
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
