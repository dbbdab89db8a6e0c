"""The examples of docs/sources.md, as they stand there: each is typed into a file, loads, and takes rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
import yaml
from any_source import Request, serving
from external import Runs

from analytics.components.external_source import Pages
from terrane.object_store import LANDING_ZONE, ObjectStoreResource
from terrane.postgres import PostgresResource

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "docs/sources.md"
BLOCKS = [
    yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
]
TABLES = {block["attributes"]["table"]: block["attributes"] for block in BLOCKS if "type" in block}
FORMS = [block["paging"] for block in BLOCKS if "paging" in block]


def run(runs: Runs, table: str) -> dict[str, Any]:
    return runs.facts(yaml.safe_dump(TABLES[table]))


def test_every_block_is_an_example_of_one_of_the_two() -> None:
    assert set(TABLES) == {"orders", "customers", "prices"}
    assert len(TABLES) + len(FORMS) == len(BLOCKS)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_form_of_paging_is_one(form: dict[str, Any]) -> None:
    kind = Pages.resolve_from_dict(form).as_paging().kind
    assert kind in form
    assert {kind for form in FORMS for kind in form} >= {"cursor", "page", "offset", "link", "token"}


def test_the_example_over_http(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": n, "customer": {"name": "a"}, "total": 1, "updated_at": f"2026-01-0{n}T00:00:00Z"} for n in range(1, 5)
    ]

    def answer(request: Request) -> Any:
        start = int(request.query.get("cursor", "0"))
        page = rows[start : start + 2]
        return {"data": {"items": page, "next": str(start + 2) if start + 2 < len(rows) else None}}

    with serving(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        monkeypatch.setenv("SHOP_TOKEN", "token-of-the-shop")
        assert run(runs, "orders")["dagster/row_count"] == 4
        rows[0] |= {"deleted": True, "updated_at": "2026-01-09T00:00:00Z"}
        assert run(runs, "orders")["dagster/row_count"] == 3
    assert server.requests[0].path == "/v2/orders"
    assert server.requests[-1].query["updated_since"] == "2026-01-03T22:00:00Z"


def test_the_example_of_a_database(
    runs: Runs, make_database: Callable[..., PostgresResource], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_database()
    for name, field in (
        ("HOST", "host"),
        ("PORT", "port"),
        ("USER", "user"),
        ("PASSWORD", "password"),
        ("DB", "database"),
    ):
        monkeypatch.setenv(f"SHOP_{name}", getattr(made, field))
    with made.connect() as connection:
        connection.execute("create schema sales")
        connection.execute("create table sales.customers (id bigint, country_code text, changed_at timestamptz)")
        connection.execute("insert into sales.customers values (1, 'CH', now())")
    assert run(runs, "customers")["dagster/row_count"] == 1
    assert runs.rows("select id, country from raw.customers") == [(1, "CH")]


def test_the_example_of_files(runs: Runs, folder_store: ObjectStoreResource) -> None:
    obstore.put(folder_store.bucket(LANDING_ZONE), "shop/prices/1.csv", b"id;price\n1;2.50\n2;\n")
    assert run(runs, "prices")["dagster/row_count"] == 2
    assert runs.rows("select id, price::float from raw.prices order by id") == [(1, 2.5), (2, None)]
