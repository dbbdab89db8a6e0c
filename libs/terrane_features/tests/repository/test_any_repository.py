"""Repositories made at random: what is declared, registered and served is what stock Feast makes of the same files.

`TERRANE_REPOSITORIES=first:count` asks for others than the few of every test run; `make feast-repositories` for 500.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from compared import Sides, compare_definitions, compare_served
from repositories import generate

from terrane_dev.testing import PostgresServer, RedisServer

pytestmark = pytest.mark.integration
FIRST, COUNT = map(int, os.environ.get("TERRANE_REPOSITORIES", "0:40").split(":"))
SERVED_EVERY = 10


@pytest.fixture(scope="module")
def sides(postgres_server: PostgresServer, redis_server: RedisServer) -> Sides:
    return Sides(postgres_server, redis_server)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_it_is_what_stock_feast_makes_of_it(sides: Sides, seed: int, tmp_path: Path) -> None:
    generated = generate(seed)
    with sides.repository(generated, tmp_path) as (stock, ours):
        compare_definitions(stock, ours)
        if seed % SERVED_EVERY == 0:
            compare_served(generated, stock, ours)
