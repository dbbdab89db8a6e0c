"""A table of the warehouse as files: the same rows, types and nulls, and what the component publishes of them."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.components import LakeExport
from analytics.lake import export
from analytics.lake.export import Export, export_table
from terrane.errors import Permanent
from terrane.object_store import DATA_LAKE
from terrane.publishing import download, list_commits

pytestmark = pytest.mark.integration

TABLE = Export("gold", "t", ["id"])
MANY = (
    "create schema gold; create table gold.t (id bigint not null, at timestamptz, ok boolean, share double precision, "
    "name text, day date); insert into gold.t values (3, null, null, null, null, null), "
    "(1, '2026-01-01 01:00+01', true, 0.1, 'Zürich', '2026-01-01'), (2, '2026-01-01', false, 1e300, '', '1969-12-31')"
)


def run(warehouse, statement):
    with warehouse.connect() as connection:
        connection.execute(statement)


def test_rows_types_and_nulls_are_the_tables(warehouse, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "BATCH_ROWS", 2)
    run(warehouse, MANY)
    files, rows = export_table(warehouse, TABLE, tmp_path)
    assert (list(files), rows) == (["t.parquet"], 3)
    table = pq.read_table(files["t.parquet"])
    assert [row["id"] for row in table.to_pylist()] == [1, 2, 3]
    assert table.to_pylist()[0] | {"day": None} == {
        "id": 1,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "ok": True,
        "share": 0.1,
        "name": "Zürich",
        "day": None,
    }
    assert table.to_pylist()[2] == {"id": 3, "at": None, "ok": None, "share": None, "name": None, "day": None}
    assert table.schema.field("id") == pa.field("id", pa.int64(), nullable=False)
    assert pq.ParquetFile(files["t.parquet"]).metadata.row_group(0).column(0).compression == "ZSTD"


def test_numbers_with_a_precision_texts_and_bytes_are_what_they_are(warehouse, tmp_path):
    run(
        warehouse,
        "create schema gold; create table gold.t (id smallint, n numeric(10, 2), r real, v varchar(3), u uuid, "
        "j jsonb, b bytea, w timestamp); insert into gold.t values (1, 12.30, 0.5, 'abc', "
        "'00000000-0000-0000-0000-000000000001', '{\"a\": 1}', '\\x00ff', '2026-01-01 12:00')",
    )
    files, _ = export_table(warehouse, TABLE, tmp_path)
    assert pq.read_table(files["t.parquet"]).to_pylist() == [
        {
            "id": 1,
            "n": Decimal("12.30"),
            "r": 0.5,
            "v": "abc",
            "u": "00000000-0000-0000-0000-000000000001",
            "j": '{"a": 1}',
            "b": b"\x00\xff",
            "w": datetime(2026, 1, 1, 12),
        }
    ]


def test_csv_is_what_postgres_writes_whatever_the_servers_settings(warehouse, tmp_path):
    run(
        warehouse,
        f"{MANY}; "
        "insert into gold.t values (4, null, null, 'NaN', E'a \"b\", c\\nd', null), (5, null, null, 0, 'x', null); "
        "alter role current_user set timezone to 'Europe/Berlin'; alter role current_user set datestyle to 'SQL, DMY'; "
        "alter role current_user set intervalstyle to 'sql_standard'; alter table gold.t add column took interval; "
        "update gold.t set took = '1 day 02:03' where id = 4",
    )
    try:
        files, rows = export_table(warehouse, Export("gold", "t", ["id"], "csv"), tmp_path)
    finally:
        run(warehouse, "alter role current_user reset timezone; alter role current_user reset datestyle")
        run(warehouse, "alter role current_user reset intervalstyle")
    assert rows == 5
    with warehouse.connect() as connection:
        connection.execute("set timezone to 'UTC'; set datestyle to 'ISO'; set intervalstyle to 'iso_8601'")
        query = "select id, at, ok::text, share, name, day, took from gold.t order by id"
        with connection.cursor().copy(f"copy ({query}) to stdout (format csv, header)") as copy:
            expected = b"".join(copy)
    assert files["t.csv"].read_bytes() == expected


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_each_value_of_the_partitions_column_is_a_file_without_it(warehouse, tmp_path, form):
    run(warehouse, f"{MANY}; insert into gold.t (id, day) values (0, '2026-01-01')")
    files, rows = export_table(warehouse, Export("gold", "t", ["id"], form, "day"), tmp_path)
    assert rows == 4
    places = [f"day={day}/t.{form}" for day in ("1969-12-31", "2026-01-01", "__HIVE_DEFAULT_PARTITION__")]
    assert list(files) == places
    if form == "parquet":
        found = [pq.read_table(file).to_pydict() for file in files.values()]
        assert [each["id"] for each in found] == [[2], [0, 1], [3]]
        assert "day" not in found[0]
    else:
        assert files[places[0]].read_text() == 'id,at,ok,share,name\n2,2026-01-01 00:00:00+00,false,1e+300,""\n'


def test_values_that_sort_alike_and_read_otherwise_lose_no_row(warehouse, tmp_path):
    run(warehouse, "create schema gold; create table gold.t (id bigint, day numeric)")
    run(warehouse, "insert into gold.t select n, (array[1.0, 1.00, 1.000])[n % 3 + 1] from generate_series(1, 9) n")
    by_day = Export("gold", "t", ["id"], "csv", partition_by="day")
    files, rows = export_table(warehouse, by_day, tmp_path)
    assert (sorted(files), rows) == (["day=1.0/t.csv", "day=1.00/t.csv", "day=1.000/t.csv"], 9)
    assert sum(len(file.read_text().splitlines()) - 1 for file in files.values()) == 9


def test_two_values_that_would_be_one_file_are_refused(warehouse, tmp_path):
    run(warehouse, "create schema gold; create table gold.t (id bigint, day text)")
    run(warehouse, f"insert into gold.t values (1, null), (2, '{export.NO_VALUE}')")
    with pytest.raises(Permanent, match="gold.t has two values of day that would be the file day=__HIVE"):
        export_table(warehouse, Export("gold", "t", ["id"], partition_by="day"), tmp_path)


def test_more_partitions_than_a_commit_may_name_are_refused(warehouse, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "MOST_FILES", 2)
    run(warehouse, MANY)
    with pytest.raises(Permanent, match="gold.t has more than 2 values of day"):
        export_table(warehouse, Export("gold", "t", ["id"], "parquet", "day"), tmp_path)


def test_an_empty_table_is_a_file_with_its_columns(warehouse, tmp_path):
    run(warehouse, "create schema gold; create table gold.t (id bigint)")
    files, rows = export_table(warehouse, TABLE, tmp_path)
    assert rows == 0
    assert pq.read_table(files["t.parquet"]).schema.names == ["id"]


def test_a_type_that_has_no_place_is_named(warehouse, tmp_path):
    run(warehouse, "create schema gold; create table gold.t (id bigint, shape point, n numeric)")
    with pytest.raises(Permanent, match=r"gold.t has columns of types .* here: shape \(point\), n \(numeric\)"):
        export_table(warehouse, TABLE, tmp_path)
    assert export_table(warehouse, Export("gold", "t", ["id"], "csv"), tmp_path)[1] == 0


def test_a_table_or_column_that_is_not_there_is_named(warehouse, tmp_path):
    with pytest.raises(Permanent, match="there is no table gold.t"):
        export_table(warehouse, TABLE, tmp_path)
    run(warehouse, "create schema gold; create table gold.t (id bigint)")
    with pytest.raises(Permanent, match="gold.t has no column day to order or partition by"):
        export_table(warehouse, Export("gold", "t", ["id"], "parquet", "day"), tmp_path)


def test_the_component_publishes_and_keeps_so_many(warehouse, folder_store, tmp_path):
    """Old exports go, and those of another prefix stay."""
    run(warehouse, MANY)
    component = LakeExport(
        table="gold/t", order_by=["id"], name="by_day", format="csv", partition_by="day", prefix="shared", kept=2
    )
    made = component.build_defs(SimpleNamespace())  # pyright: ignore[reportArgumentType]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(["gold", "t"]))
        runs = [
            dg.materialize(
                [each for each in made.assets or () if isinstance(each, dg.AssetsDefinition)],
                instance=instance,
                resources={"warehouse": warehouse, "object_store": folder_store},
            )
            for _ in range(3)
        ]
    lake = folder_store.bucket(DATA_LAKE)
    commits = list_commits(lake, "shared/by_day")
    assert [commit.batch_id for commit in commits] == [each.run_id for each in runs[1:]]
    assert [each.name for each in commits[-1].objects] == [
        f"day={day}/t.csv" for day in ("1969-12-31", "2026-01-01", "__HIVE_DEFAULT_PARTITION__")
    ]
    file = download(lake, commits[-1].objects[1], Path(tmp_path, "back.csv"))
    assert file.read_text() == "id,at,ok,share,name\n1,2026-01-01 00:00:00+00,true,0.1,Zürich\n"
    (event,) = runs[-1].asset_materializations_for_node("exports__by_day")
    assert (event.metadata["dagster/row_count"].value, event.metadata["files"].value) == (3, 3)
