"""Tables of any source by YAML: HTTP, another Postgres and files, into a real warehouse, by runs of the asset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import obstore
import pytest
import yaml
from any_source import AnySource, Reply, Request, serving
from external import Runs

from analytics.components import ExternalTable
from analytics.forgetting.rows import Person, forget_rows
from terrane.object_store import LANDING_ZONE, ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.integration

COLUMNS = """
columns:
  - {name: id, type: bigint, description: The order.}
  - {name: customer, type: text, description: Who ordered., field: customer.name, optional: true}
  - {name: total, type: "numeric(12,2) not null", description: In euros.}
  - {name: updated_at, type: timestamptz not null, description: Of this version.}
  - {name: deleted, type: boolean, description: Whether it is gone., optional: true}
"""
OF_HTTP = f"""
table: orders
description: Orders of the shop.
write: merge
newest_by: updated_at
deleted_flag: deleted
{COLUMNS}
http:
  url_variable: SHOP_URL
  route: /orders
  items: items
  auth: {{bearer: SHOP_TOKEN}}
  attempts: 1
  paging:
    cursor: {{parameter: cursor, next: next}}
  since: {{parameter: since, look_back_hours: 1}}
"""


def order(number: Any, at: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {"id": number, "customer": {"name": "a"}, "total": 1.5, "updated_at": at, **more}


class Shop:
    """The source: its rows, two a page, and those that `since` asks for."""

    def __init__(self, server: AnySource):
        self.server, self.rows = server, list[Any]()
        server.answer = self._answer

    def _answer(self, request: Request) -> Any:
        since = request.query.get("since", "")
        rows = [row for row in self.rows if not since or row["updated_at"] >= since]
        start = int(request.query.get("cursor", "0"))
        return {"items": rows[start : start + 2], "next": str(start + 2) if start + 2 < len(rows) else None}

    @property
    def asked_since(self) -> list[str | None]:
        """Of each reading from its beginning."""
        return [each.query.get("since") for each in self.server.requests if "cursor" not in each.query]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with serving(lambda request: {}) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        monkeypatch.setenv("SHOP_TOKEN", "token-of-the-shop")
        yield Shop(server)


IDS = "select array_agg(id order by id) from raw.orders"


def test_what_is_new_is_asked_for_from_what_the_table_has_and_the_newest_wins(runs: Runs, shop: Shop) -> None:
    shop.rows = [order(n, f"2026-01-01T0{n}:00:00Z") for n in range(1, 6)]
    assert runs.facts(OF_HTTP)["dagster/row_count"] == 5
    assert {each.headers["Authorization"] for each in shop.server.requests} == {"Bearer token-of-the-shop"}
    shop.rows = [*shop.rows[1:], order(1, "2026-01-01T06:00:00Z", total=9)]
    told = runs.facts(OF_HTTP)
    assert shop.asked_since == [None, "2026-01-01T04:00:00Z"]
    assert (told["rows_that_came"], told["dagster/row_count"]) == (3, 5)
    assert runs.rows()[0] == (1, 9.0, "2026-01-01 06:00:00+00")
    # An older version that comes late changes nothing.
    shop.rows = [order(1, "2026-01-01T05:30:00Z", total=7)]
    runs.facts(OF_HTTP)
    assert runs.rows()[0] == (1, 9.0, "2026-01-01 06:00:00+00")


def test_after_a_dropped_table_or_a_restore_what_is_missing_is_asked_for_again(runs: Runs, shop: Shop) -> None:
    shop.rows = [order(n, f"2026-01-01T0{n}:00:00Z") for n in range(1, 6)]
    runs.facts(OF_HTTP)
    runs.execute("delete from raw.orders where id > 2")
    runs.facts(OF_HTTP)
    assert runs.rows(IDS) == [([1, 2, 3, 4, 5],)]
    runs.execute("drop table raw.orders")
    runs.facts(OF_HTTP)
    assert runs.rows(IDS) == [([1, 2, 3, 4, 5],)]
    assert shop.asked_since == [None, "2026-01-01T01:00:00Z", None]


def test_a_time_in_the_future_does_not_hide_what_comes_before_it(runs: Runs, shop: Shop) -> None:
    shop.rows = [order(1, "2026-01-01T01:00:00Z"), order(2, "2999-01-01T00:00:00Z")]
    runs.facts(OF_HTTP)
    shop.rows.append(order(3, "2026-01-01T02:00:00Z"))
    runs.facts(OF_HTTP)
    assert shop.asked_since[1] == "2026-01-01T00:00:00Z"
    assert runs.rows(IDS) == [([1, 2, 3],)]


@pytest.mark.parametrize(("deletions", "left"), [("delete", [1]), ("keep", [1, 2])])
def test_a_tombstone_deletes_or_is_kept_and_counted(runs: Runs, shop: Shop, deletions: str, left: list[int]) -> None:
    shop.rows = [order(1), order(2)]
    runs.facts(OF_HTTP, deletions=deletions)
    shop.rows = [order(2, "2026-01-02T00:00:00Z", deleted=True)]
    told = runs.facts(OF_HTTP, deletions=deletions)
    assert told["rows_flagged_as_deleted"] == 1
    assert runs.rows(IDS) == [(left,)]


def test_bad_rows_are_refused_by_their_column_and_go_when_they_come_well(runs: Runs, shop: Shop) -> None:
    shop.rows = [order(1), order(2, total="much"), order(3, updated_at="2026-01-01T00:00:00")]
    told = runs.facts(OF_HTTP)
    assert (told["dagster/row_count"], told["rows_refused"]) == (1, 2)
    rejected = "select row_id, column_name, reason from raw.rejected order by row_id"
    assert runs.rows(rejected) == [
        ("2", "total", "is a text, not a number"),
        ("3", "updated_at", "is a time without a zone"),
    ]
    shop.rows = [order(2, "2026-01-02T00:00:00Z")]
    runs.facts(OF_HTTP)
    assert runs.rows(rejected) == [("3", "updated_at", "is a time without a zone")]


def test_more_bad_rows_than_a_slip_are_a_source_whose_form_changed(runs: Runs, shop: Shop) -> None:
    shop.rows = [order(n, total="much") for n in range(11)] + [order(99)]
    assert "11 of 12 rows for raw.orders are not of their columns' types, first row 0: total is a text" in runs.failure(
        OF_HTTP
    )
    assert runs.rows("select count(*) from raw.orders") == [(0,)]


def test_a_row_that_lacks_a_field_fails_unless_the_column_is_optional(runs: Runs, shop: Shop) -> None:
    shop.rows = [{name: value for name, value in order(1).items() if name != "customer"}]
    runs.facts(OF_HTTP)
    assert runs.rows("select customer from raw.orders") == [(None,)]
    shop.rows = [{name: value for name, value in order(2).items() if name != "total"}]
    assert "a row for raw.orders has no 'total'" in runs.failure(OF_HTTP)


def test_append_leaves_what_is_there_and_replace_makes_the_table_what_came(runs: Runs, shop: Shop) -> None:
    whole = yaml.safe_load(OF_HTTP)["http"] | {"since": None}
    shop.rows = [order(1), order(2)]
    runs.facts(OF_HTTP, write="append", http=whole, deleted_flag=None)
    shop.rows = [order(2, total=9), order(3)]
    runs.facts(OF_HTTP, write="append", http=whole, deleted_flag=None)
    assert runs.rows("select id, total::float from raw.orders order by id") == [(1, 1.5), (2, 1.5), (3, 1.5)]
    runs.facts(OF_HTTP, write="replace", http=whole, deleted_flag=None)
    assert runs.rows("select id, total::float from raw.orders order by id") == [(2, 9.0), (3, 1.5)]
    shop.rows = [order(4)]
    told = runs.facts(OF_HTTP, write="replace", http=whole, deleted_flag=None, deletions="keep")
    assert (told["kept_though_gone"], told["dagster/row_count"]) == (2, 3)


def test_a_source_that_lost_most_of_its_rows_replaces_nothing_unless_it_is_allowed(runs: Runs, shop: Shop) -> None:
    whole = yaml.safe_load(OF_HTTP)["http"] | {"since": None}
    shop.rows = [order(n) for n in range(4)]
    runs.facts(OF_HTTP, write="replace", http=whole)
    shop.rows = [order(1)]
    told = runs.failure(OF_HTTP, write="replace", http=whole)
    assert "1 rows came in for raw.orders, which has 4: fewer than 50% of them" in told
    assert runs.run(OF_HTTP, {"allow_fewer_rows": True}, write="replace", http=whole).success
    assert runs.rows(IDS) == [([1],)]


def test_a_key_that_comes_twice_is_read_again_and_then_refused(runs: Runs, shop: Shop) -> None:
    whole = yaml.safe_load(OF_HTTP)["http"] | {"since": None}
    shop.rows = [order(1), order(2), order(2), order(3)]
    told = runs.failure(OF_HTTP, write="replace", http=whole)
    assert "did not stand still in 3 readings: 1 of the values of id came more than once" in told
    # Of versions the newest is taken.
    shop.rows = [order(2, "2026-01-03T00:00:00Z", total=3), order(2, "2026-01-02T00:00:00Z", total=2)]
    runs.facts(OF_HTTP)
    assert runs.rows() == [(2, 3.0, "2026-01-03 00:00:00+00")]


def test_a_source_that_says_when_to_come_back_is_not_asked_before(runs: Runs, shop: Shop) -> None:
    shop.server.answer = lambda request: Reply({}, 429, {"Retry-After": "3600"})
    assert "asks to come back at" in runs.failure(OF_HTTP)
    asked = len(shop.server.requests)
    assert "was not asked" in runs.failure(OF_HTTP)
    assert len(shop.server.requests) == asked


@pytest.mark.parametrize("fill", [False, True])
def test_a_new_column_fills_what_is_there_where_that_is_asked_for(runs: Runs, shop: Shop, fill: bool) -> None:
    shop.rows = [order(n, f"2026-01-0{n}T00:00:00Z", colour="red") for n in (1, 2, 3)]
    runs.facts(OF_HTTP)
    columns = yaml.safe_load(OF_HTTP)["columns"]
    columns.append({"name": "colour", "type": "text not null", "description": "Of it."})
    runs.facts(OF_HTTP, columns=columns, fill_new_columns=fill)
    filled = ["red"] * 3 if fill else [None, None, "red"]
    assert runs.rows("select array_agg(colour order by id) from raw.orders") == [(filled,)]
    assert shop.asked_since == [None, None if fill else "2026-01-02T23:00:00Z"]


def test_a_changed_type_is_refused_with_the_statement_that_changes_it_and_which_then_works(
    runs: Runs, shop: Shop
) -> None:
    shop.rows = [order(1)]
    runs.facts(OF_HTTP)
    columns = yaml.safe_load(OF_HTTP)["columns"]
    columns[2]["type"] = "double precision not null"
    told = runs.failure(OF_HTTP, columns=columns)
    assert "total is numeric(12,2) there and double precision in defs.yaml. Nothing was written" in told
    statement = told.split("`")[1]
    assert statement == (
        'alter table "raw"."orders" alter column "total" type double precision using "total"::double precision;'
    )
    runs.execute(statement)
    runs.facts(OF_HTTP, columns=columns)


OF_DATABASE = f"""
table: orders
description: Orders of the shop.
write: merge
newest_by: updated_at
{COLUMNS.replace("field: customer.name, ", "")}
database:
  variables: SHOP
  relation: sales.orders
  since: {{look_back_hours: 1}}
"""


@pytest.fixture
def shop_database(
    make_database: Callable[..., PostgresResource], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Another Postgres, whose server's times are of Berlin; executes what it is given."""
    made = make_database()
    for name, value in (("HOST", made.host), ("PORT", made.port), ("USER", made.user), ("PASSWORD", made.password)):
        monkeypatch.setenv(f"SHOP_{name}", value)
    monkeypatch.setenv("SHOP_DB", made.database)

    def execute(text: str) -> None:
        with made.connect(autocommit=True) as connection:
            connection.execute(text.encode())

    execute(f"alter role {made.user} set timezone = 'Europe/Berlin'")
    execute("create schema sales")
    execute(
        "create table sales.orders (id bigint, customer text, total numeric, updated_at timestamptz, deleted boolean, "
        "more text)"
    )
    return execute


def test_a_table_of_another_postgres_is_read_from_the_newest_on(
    runs: Runs, shop_database: Callable[[str], None]
) -> None:
    shop_database(
        "insert into sales.orders select n, 'a', n + 0.25, '2026-01-01Z'::timestamptz + n * interval '1 hour' "
        "from generate_series(1, 5) as n"
    )
    assert runs.facts(OF_DATABASE)["rows_that_came"] == 5
    assert runs.rows()[0] == (1, 1.25, "2026-01-01 01:00:00+00")
    shop_database("update sales.orders set total = 9, updated_at = '2026-01-02Z' where id = 1")
    assert runs.facts(OF_DATABASE)["rows_that_came"] == 3
    assert runs.rows()[0] == (1, 9.0, "2026-01-02 00:00:00+00")


def test_a_growing_number_is_a_mark_too(runs: Runs, shop_database: Callable[[str], None]) -> None:
    by_id = {"newest_by": "id", "write": "append"}
    database = {"variables": "SHOP", "relation": "sales.orders", "since": {"look_back": 2}}
    shop_database("insert into sales.orders select n, 'a', 1, now() from generate_series(1, 5) as n")
    runs.facts(OF_DATABASE, **by_id, database=database)
    # 4 was given out before 5 and committed after it.
    runs.execute("delete from raw.orders where id = 4")
    shop_database("insert into sales.orders values (6, 'b', 1, now())")
    assert runs.facts(OF_DATABASE, **by_id, database=database)["rows_that_came"] == 4
    assert runs.rows(IDS) == [([1, 2, 3, 4, 5, 6],)]


def test_a_row_of_another_postgres_without_its_time_is_told_though_it_is_never_new(
    runs: Runs, shop_database: Callable[[str], None]
) -> None:
    shop_database("insert into sales.orders values (1, 'a', 1, '2026-01-01Z')")
    runs.facts(OF_DATABASE)
    shop_database("insert into sales.orders values (2, 'a', 1, null)")
    assert runs.facts(OF_DATABASE)["rows_refused"] == 1
    assert runs.rows("select row_id, column_name, reason from raw.rejected") == [("2", "updated_at", "is null")]


def test_values_of_another_postgres_are_as_strict_as_those_of_an_api(
    runs: Runs, shop_database: Callable[[str], None]
) -> None:
    shop_database("alter table sales.orders alter column updated_at type timestamp")
    shop_database("insert into sales.orders values (1, 'a', 1, '2026-01-01'), (2, 'a', 'NaN', '2026-01-01')")
    assert runs.facts(OF_DATABASE)["rows_refused"] == 2
    found = runs.rows("select row_id, column_name, reason from raw.rejected order by 1")
    assert found == [("1", "updated_at", "is a time without a zone"), ("2", "total", "is not finite")]


def test_a_database_that_refuses_is_named_without_its_password(
    runs: Runs, shop_database: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_database("drop table sales.orders")
    told = runs.failure(OF_DATABASE)
    assert "the source database 127.0.0.1:" in told
    assert 'relation "sales.orders" does not exist' in told
    monkeypatch.setenv("SHOP_PASSWORD", "not-the-password")
    told = runs.failure(OF_DATABASE)
    assert "password authentication failed" in told
    assert "not-the-password" not in told
    monkeypatch.delenv("SHOP_HOST")
    assert "SHOP_HOST is not set, which says where sales.orders is" in runs.failure(OF_DATABASE)


OF_FILES = f"""
table: orders
description: Orders of the shop.
write: merge
newest_by: updated_at
{COLUMNS.replace("field: customer.name, ", "")}
files: {{format: csv, bucket: landing-zone, prefix: shop/orders/}}
"""
HEADER = "id,customer,total,updated_at\n"


def put(store: ObjectStoreResource, name: str, *lines: str) -> None:
    obstore.put(store.bucket(LANDING_ZONE), f"shop/orders/{name}", (HEADER + "\n".join(lines)).encode())


def test_each_file_of_a_prefix_is_taken_once_as_its_content_is(runs: Runs, folder_store: ObjectStoreResource) -> None:
    put(folder_store, "1.csv", "1,a,1.5,2026-01-01T00:00:00Z", "2,b,2,2026-01-01T00:00:00Z")
    put(folder_store, "2.csv", "2,b,3,2026-01-02T00:00:00Z")
    assert runs.facts(OF_FILES)["files"] == 2
    assert [row[:2] for row in runs.rows()] == [(1, 1.5), (2, 3.0)]
    assert runs.facts(OF_FILES)["files"] == 0
    put(folder_store, "3.csv", "3,c,1,2026-01-03T00:00:00Z")
    put(folder_store, "1.csv", "1,a,4,2026-01-04T00:00:00Z")
    assert runs.facts(OF_FILES)["files"] == 2
    assert [row[:2] for row in runs.rows()] == [(1, 4.0), (2, 3.0), (3, 1.0)]
    runs.execute("drop table raw.orders")
    assert runs.facts(OF_FILES)["files"] == 3


def test_a_bad_file_costs_no_other_that_was_taken_before_it(runs: Runs, folder_store: ObjectStoreResource) -> None:
    put(folder_store, "1.csv", "1,a,1,2026-01-01T00:00:00Z")
    obstore.put(folder_store.bucket(LANDING_ZONE), "shop/orders/2.csv", b"id,customer\n")
    assert "shop/orders/2.csv has no column total, updated_at" in runs.failure(OF_FILES)
    assert runs.rows(IDS) == [([1],)]
    obstore.delete(folder_store.bucket(LANDING_ZONE), ["shop/orders/1.csv", "shop/orders/2.csv"])
    assert "there is no file below shop/orders/" in runs.failure(OF_FILES)


def test_a_bad_file_stops_none_that_came_after_it(runs: Runs, folder_store: ObjectStoreResource) -> None:
    put(folder_store, "1.csv", "1,a,1,2026-01-01T00:00:00Z")
    obstore.put(folder_store.bucket(LANDING_ZONE), "shop/orders/2.csv", b"id,customer\n")
    put(folder_store, "3.csv", "3,a,1,2026-01-01T00:00:00Z")
    told = runs.failure(OF_FILES)
    assert "1 files could not be taken, and 2 others were: shop/orders/2.csv: " in told
    assert runs.rows(IDS) == [([1, 3],)]
    # Mended, it is the only one that is taken.
    put(folder_store, "2.csv", "2,a,1,2026-01-01T00:00:00Z")
    assert runs.facts(OF_FILES)["files"] == 1
    assert runs.rows(IDS) == [([1, 2, 3],)]


def test_a_bucket_that_is_away_is_not_taken_for_the_warehouse(
    warehouse: PostgresResource,
) -> None:
    away = ObjectStoreResource(endpoint=f"http://127.0.0.1:{free_port()}", access_key="a", secret_key="b")
    with dg.DagsterInstance.ephemeral() as instance:
        told = Runs(warehouse, away, instance).failure(OF_FILES, retries=0)
    assert "the object store http://127.0.0.1:" in told
    assert "while listing shop/orders/ of landing-zone" in told
    assert "the warehouse" not in told


def test_replace_takes_all_files_of_a_prefix_together(runs: Runs, folder_store: ObjectStoreResource) -> None:
    put(folder_store, "1.csv", "1,a,1,2026-01-01T00:00:00Z")
    put(folder_store, "2.csv", "2,a,1,2026-01-01T00:00:00Z", "3,a,x,2026-01-01T00:00:00Z")
    for _ in range(2):
        told = runs.facts(OF_FILES, write="replace")
        assert (told["dagster/row_count"], told["rows_refused"]) == (2, 1)
    assert runs.rows("select count(*) from raw.rejected") == [(1,)]
    put(folder_store, "2.csv", "2,a,1,2026-01-01T00:00:00Z")
    assert runs.facts(OF_FILES, write="replace")["dagster/row_count"] == 2
    assert runs.rows("select count(*) from raw.rejected") == [(0,)]


def test_a_file_by_its_address(runs: Runs, shop: Shop) -> None:
    content = b'{"id": 1, "customer": "a", "total": 1, "updated_at": "2026-01-01T00:00:00Z"}\nnothing\n'
    shop.server.answer = lambda request: Reply(content)
    files = {"format": "jsonl", "url": f"{shop.server.url}/orders.jsonl", "auth": {"bearer": "SHOP_TOKEN"}}
    told = runs.facts(OF_FILES, files=files)
    assert (told["dagster/row_count"], told["rows_refused"]) == (1, 1)
    assert shop.server.requests[0].headers["Authorization"] == "Bearer token-of-the-shop"
    assert runs.rows("select row_id from raw.rejected") == [("line 2 of orders.jsonl",)]


def test_an_address_with_a_signature_is_told_without_it(
    runs: Runs, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.server.answer = lambda request: Reply(b"no", status=404)
    monkeypatch.setenv("SHOP_FILE", f"{shop.server.url}/orders.jsonl?signature=of-the-shop")
    told = runs.failure(OF_FILES, files={"format": "jsonl", "url_variable": "SHOP_FILE"})
    assert shop.server.requests[-1].query["signature"] == "of-the-shop"
    assert "/orders.jsonl" in told
    assert "of-the-shop" not in told


AT_A = {"route": "/", "url": "http://a"}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"http": None}, "comes from exactly one of http, database and files"),
        ({"key": "number"}, "key of raw/orders is number, which is none of its columns"),
        ({"newest_by": None}, "since of raw/orders needs newest_by"),
        ({"write": "replace"}, "since of raw/orders needs newest_by, and append or merge"),
        ({"newest_by": "customer"}, "customer of raw/orders is not declared `not null`"),
        (
            {"http": {"route": "/", "url": "http://a", "auth": {}}},
            "auth is exactly one of bearer, header, basic, query",
        ),
        ({"http": {"route": "/"}}, "http has either a url or a url_variable"),
        ({"http": AT_A | {"paging": {}}}, "paging is exactly one of cursor, page"),
        (
            {
                "http": {
                    "route": "/",
                    "url": "http://a",
                    "paging": {"page": {"parameter": "p"}, "end": {"short_page": True}},
                }
            },
            "short_page needs a size",
        ),
        (
            {"http": AT_A | {"paging": {"cursor": {"parameter": "c"}}}},
            "a cursor is either in",
        ),
        ({"http": None, "files": {"format": "csv", "bucket": "mine", "prefix": "a"}}, "none of the platform's buckets"),
    ],
)
def test_what_a_declaration_lacks_is_said_when_it_loads(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=says):
        ExternalTable.resolve_from_dict(yaml.safe_load(OF_HTTP) | changed)


def test_a_run_waits_for_another_that_writes_the_table_and_says_when_it_takes_too_long(
    runs: Runs, shop: Shop, warehouse: PostgresResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics.warehouse import locks
    from analytics.warehouse.tables import Table

    monkeypatch.setattr(locks, "WAIT_S", 0.2)
    shop.rows = [order(1)]
    with warehouse.connect() as connection:
        locks.keep_others_out(connection, Table("orders", [], "id"))
        assert "another run is writing raw.orders, and still was after 0.2 s" in runs.failure(OF_HTTP)
    assert runs.run(OF_HTTP).success


def test_no_clock_of_the_warehouse_is_between_a_run_and_its_rows(runs: Runs, shop: Shop) -> None:
    """What was made just now is the mark too."""
    now = datetime.now(UTC) - timedelta(seconds=1)
    shop.rows = [order(1, now.isoformat())]
    runs.facts(OF_HTTP)
    runs.facts(OF_HTTP)
    assert shop.asked_since[1] == (now - timedelta(hours=1)).isoformat().replace("+00:00", "Z")


def test_who_is_forgotten_goes_from_lines_that_could_not_be_read_too(
    runs: Runs, folder_store: ObjectStoreResource, warehouse: PostgresResource
) -> None:
    at = "2026-01-01T00:00:00Z"
    put(folder_store, "1.csv", f"1,4711,1,{at}", f"2,b,1,{at}", "3,4711,1", "4,c,1", f"5,4711,x,{at}", f"6,d,x,{at}")
    assert runs.facts(OF_FILES)["rows_refused"] == 4
    forget_rows(warehouse, Person("4711", "customer"))
    assert runs.rows(IDS) == [([2],)]
    assert runs.rows("select row_id from raw.rejected order by 1") == [("6",), ("line 5 of shop/orders/1.csv",)]
    put(folder_store, "1.csv", f"1,4711,1,{at}", f"2,b,1,{at}")
    runs.facts(OF_FILES)
    assert runs.rows(IDS) == [([2],)]


def test_a_column_of_json_keeps_what_came_and_refuses_what_postgres_cannot_keep(runs: Runs, shop: Shop) -> None:
    columns = [*yaml.safe_load(OF_HTTP)["columns"], {"name": "lines", "type": "jsonb", "description": "Of the order."}]
    kept = {"a": [1, "two", None, {"b": 0.5}], "é": True}
    shop.rows = [
        order(1, lines=kept),
        order(2, lines={"a": ["x\0"]}),
        order(3, lines=[{"\ud83d": 1}]),
        order(4, lines=None),
    ]
    assert runs.facts(OF_HTTP, columns=columns)["rows_refused"] == 2
    assert runs.rows("select id, lines from raw.orders order by id") == [(1, kept), (4, None)]
    assert runs.rows("select row_id, column_name, reason from raw.rejected order by 1") == [
        ("2", "lines", "holds a NUL, which Postgres can't keep"),
        ("3", "lines", "holds half of a surrogate pair, which is no character"),
    ]
