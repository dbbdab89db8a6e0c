"""A table of the warehouse as Parquet: the same rows, types and nulls."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.lake import export
from analytics.lake.export import export_table
from terrane.errors import Permanent

pytestmark = pytest.mark.integration


def run(warehouse, statement):
    with warehouse.connect() as connection:
        connection.execute(statement)


def test_rows_types_and_nulls_are_the_tables(warehouse, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "BATCH_ROWS", 2)
    run(
        warehouse,
        "create schema gold; create table gold.t (id bigint not null, at timestamptz, ok boolean, "
        "share double precision, name text, day date); insert into gold.t values (3, null, null, null, null, null), "
        "(1, '2026-01-01 01:00+01', true, 0.1, 'Zürich', '2026-01-01'), "
        "(2, '2026-01-01', false, 1e300, '', '1969-12-31')",
    )
    assert export_table(warehouse, "gold", "t", "id", tmp_path / "t.parquet") == 3
    table = pq.read_table(tmp_path / "t.parquet")
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
    assert pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_an_empty_table_is_a_file_with_its_columns(warehouse, tmp_path):
    run(warehouse, "create schema gold; create table gold.t (id bigint)")
    assert export_table(warehouse, "gold", "t", "id", tmp_path / "t.parquet") == 0
    assert pq.read_table(tmp_path / "t.parquet").schema.names == ["id"]


def test_a_type_that_has_no_place_is_named(warehouse, tmp_path):
    run(warehouse, "create schema gold; create table gold.t (id bigint, shape point)")
    with pytest.raises(Permanent, match=r"gold.t has columns of types not exported yet: shape \(point\)"):
        export_table(warehouse, "gold", "t", "id", tmp_path / "t.parquet")


def test_a_table_that_is_not_there_is_named(warehouse, tmp_path):
    with pytest.raises(Permanent, match="while reading gold.t"):
        export_table(warehouse, "gold", "t", "id", tmp_path / "t.parquet")
