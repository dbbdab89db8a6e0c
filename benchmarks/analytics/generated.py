"""A dbt project of any size: tables in layers, each made of two of the layer before, with tests and descriptions."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

WIDTH = 20
COLUMNS = ("id", "amount", "ratio", "name", "seen_at")
TESTS = ("not_null", "unique")
SOURCE = """
    create schema if not exists raw;
    create table if not exists raw.events
        (id bigint primary key, amount bigint, ratio float8, name text, seen_at timestamptz);
    insert into raw.events
    select n, n % 97, n / 7.0, 'event ' || n, '2026-01-01Z'::timestamptz + n * interval '1 minute'
    from generate_series(1, 500) n on conflict do nothing;
"""


def write_project(folder: Path, models: int, broken: tuple[int, ...] = ()) -> Path:
    """The project, with two tests a model; its profile is the warehouse's.

    Args:
        models: how many tables; the first twenty read `raw.events`, each of the others two of the twenty before it.
        broken: numbers of those whose SQL no server takes.
    """
    (folder / "models").mkdir(parents=True, exist_ok=True)
    settings = {"name": "generated", "version": "1.0.0", "profile": "generated", "models": {"+materialized": "table"}}
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(settings))
    described = [_described(number) for number in range(models)]
    tables = [{"name": "events", "columns": [{"name": column} for column in COLUMNS]}]
    properties = {"version": 2, "models": described, "sources": [{"name": "raw", "schema": "raw", "tables": tables}]}
    (folder / "models/properties.yml").write_text(json.dumps(properties))
    for number in range(models):
        text = "select 1 / 0 as id" if number in broken else _sql(number)
        (folder / f"models/{name_of(number)}.sql").write_text(text)
    return folder


def name_of(number: int) -> str:
    return f"table_{number:04}"


def _described(number: int) -> dict[str, object]:
    columns = [
        {"name": column, "description": f"The {column} of an event, as step {number} has it."} for column in COLUMNS
    ]
    columns[0]["data_tests"] = list(TESTS)  # pyright: ignore[reportArgumentType]
    return {"name": name_of(number), "description": f"Step {number} of the events.", "columns": columns}


FROM_SOURCE = "select id, amount + {number} as amount, ratio, name, seen_at from {{{{ source('raw', 'events') }}}}"
FROM_TABLES = """
    select a.id, a.amount + b.amount as amount, a.ratio, b.name, a.seen_at
    from {{{{ ref('{one}') }}}} a join {{{{ ref('{other}') }}}} b on b.id = a.id
"""


def _sql(number: int) -> str:
    if number < WIDTH:
        return FROM_SOURCE.format(number=number)
    layer, place = divmod(number, WIDTH)
    one, other = ((layer - 1) * WIDTH + each for each in (place, (place + 1) % WIDTH))
    return FROM_TABLES.format(one=name_of(one), other=name_of(other))
