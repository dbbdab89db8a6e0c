"""A warehouse of another encoding than UTF-8: texts and keys are stock's, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from feast import ValueType
from feast.types import Array, String
from golden import Golden, Two, named, view_of

from terrane_dev.servers import postgres
from terrane_dev.testing import PostgresServer

pytestmark = pytest.mark.integration
NAME = "in_latin_1"


@pytest.fixture
def latin(golden: Golden, postgres_server: PostgresServer) -> Iterator[Golden]:
    with postgres.administer(postgres_server.port, postgres_server.password) as connection:
        made = f"create database {NAME} owner \"{golden.warehouse.user}\" template template0 encoding 'LATIN1'"
        connection.execute(f"{made} lc_collate 'C' lc_ctype 'C'".encode())
    yield replace(golden, warehouse=golden.warehouse.model_copy(update={"database": NAME}))
    with postgres.administer(postgres_server.port, postgres_server.password) as connection:
        connection.execute(f"drop database {NAME} with (force)".encode())


def test_texts_and_keys_of_a_latin_1_warehouse_are_stocks(latin: Golden, two: Two) -> None:
    latin.sql(
        "set client_encoding to 'UTF8'",
        "create table golden (id text primary key, few text, many text, list text[], at timestamptz)",
        "insert into golden select 'Größe ' || n, 'ü', 'é ' || n, array['ø', '' || n], now() - interval '1 hour'"
        " from generate_series(1, 600) n",
    )
    view = view_of("golden", {"id": ValueType.STRING}, {"few": String, "many": String, "list": Array(String)})
    stock, ours = latin.both(view, two)
    assert named(ours, view) == named(stock, view)
    assert len(ours) == 600
    assert any("Größe 600".encode() in key for key in ours)
