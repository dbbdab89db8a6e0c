"""A run's schema in which a step is tried."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from step_bench import Bench

from terrane.postgres import PostgresResource
from terrane_spatial.runs import run_schema


@pytest.fixture
def bench(postgis: PostgresResource) -> Iterator[Bench]:
    run_id = str(uuid.uuid4())
    with run_schema.connect(postgis, run_id) as connection:
        run_schema.create(connection, run_id, "b-1")
        yield Bench(connection)
