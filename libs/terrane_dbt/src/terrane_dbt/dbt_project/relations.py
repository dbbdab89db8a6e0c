"""Which tests of a part of the project can't be run, since a table they compare with was never built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

import dagster as dg

from terrane.errors import database_errors
from terrane.postgres import PostgresResource
from terrane_dbt.dbt_project.graph import Project

THERE = """
    select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where (n.nspname, c.relname) in (select * from unnest(%s::text[], %s::text[]))
"""


def tests_without_their_tables(
    warehouse: PostgresResource,
    project: Project,
    selected: AbstractSet[dg.AssetKey],
    relations: Callable[[], Mapping[str, tuple[str, str]]],
) -> list[str]:
    """Names of tests that look at one of the selected tables and at another that is neither selected nor there.

    dbt runs every test that touches what it builds, and such a one fails as if the rows were wrong. When all of the
    project is selected nothing is asked of the warehouse.

    Args:
        relations: schema and table of each of dbt's names here, asked for where they are wanted.
    """
    others = {name: keys - selected for name, keys in project.tests.items() if keys & selected and keys - selected}
    if not others:
        return []
    wanted = sorted(set[dg.AssetKey]().union(*others.values()))
    named = relations()
    places = {key: named.get(project.names[key], (key.path[0], key.path[-1])) for key in wanted}
    schemas, tables = [place[0] for place in places.values()], [place[1] for place in places.values()]
    with (
        database_errors(warehouse, "looking which tables there are"),
        warehouse.connect() as connection,
    ):
        there = set(connection.execute(THERE.encode(), [schemas, tables]).fetchall())
    return sorted(name for name, keys in others.items() if {places[key] for key in keys} - there)
