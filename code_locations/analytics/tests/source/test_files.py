"""CSV, JSON lines and Parquet as they come: values as the columns say, bad lines by their number, no guesses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.source.files import Reading, read_file
from analytics.source.plain import Field
from analytics.warehouse.tables import Column, Table
from analytics.warehouse.values import Refused, to_values
from terrane.errors import Permanent

pytestmark = pytest.mark.unit

COLUMNS = [
    Column("id", "bigint", ""),
    Column("name", "text", ""),
    Column("price", "numeric", ""),
    Column("sold", "boolean", ""),
    Column("at", "timestamptz", ""),
    Column("day", "date", ""),
]
FIELDS = [Field(column, column.name) for column in COLUMNS]
TABLE = Table("orders", COLUMNS, "id", "at")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEADER = "id,name,price,sold,at,day\n"


def read(file: Path, reading: Reading, fields: list[Field] = FIELDS) -> tuple[list[Any], list[Refused]]:
    """The rows as they are written, and those that are refused."""
    refused: list[Refused] = []
    rows = [row for batch in read_file(file, "orders", reading, fields, refused.append) for row in batch]
    values = [to_values(TABLE, row) for row in rows] if fields is FIELDS else rows
    return [v for v in values if not isinstance(v, Refused)], refused + [v for v in values if isinstance(v, Refused)]


def csv(tmp_path: Path, content: str | bytes, **how: Any) -> tuple[list[Any], list[Refused]]:
    file = tmp_path / "orders.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(file, Reading("csv", **how))


def test_cells_are_what_the_columns_say(tmp_path: Path) -> None:
    rows, refused = csv(tmp_path, f'{HEADER}1,"a ""b"",\nc",2.50,true,2026-01-02T03:04:05Z,2026-01-02\n2,,,FALSE,,\n')
    assert refused == []
    assert rows == [[1, 'a "b",\nc', 2.5, True, AT, date(2026, 1, 2)], [2, None, None, False, None, None]]


def test_a_mark_of_the_byte_order_other_separators_and_further_columns_are_nothing(tmp_path: Path) -> None:
    rows, _ = csv(tmp_path, "\ufeffday;id;colour;name;price;sold;at\n;1;red;NA;;;\n", delimiter=";", nulls=["", "NA"])
    assert rows == [[1, None, None, None, None, None]]


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("x,,,,,", "id", "is a text, not a whole number"),
        ("1.0,,,,,", "id", "is a text, not a whole number"),
        ("١,,,,,", "id", "is a text, not a whole number"),
        ("1,,nan,,,", "price", "is a text, not a number"),
        ('1,,"1,5",,,', "price", "is a text, not a number"),
        ("1,,,yes,,", "sold", "is a text, not true or false"),
        ("1,,,,2026-01-02T03:04:05,", "at", "is a time without a zone"),
        ("1,,,,,2.1.2026", "day", "is no date"),
        ("1,a\0b,,,,", "name", "holds a NUL, which Postgres can't keep"),
        ("1,2", "the line", "has 2 cells, and the header 6"),
    ],
)
def test_a_cell_that_is_not_of_its_column_refuses_its_row_alone(
    tmp_path: Path, line: str, column: str, reason: str
) -> None:
    rows, (refused,) = csv(tmp_path, f"{HEADER}{line}\n7,,,,,\n")
    assert (refused.column, refused.reason, rows) == (column, reason, [[7, None, None, None, None, None]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty, without even a header"),
        (b"id,name\n1,a\n", "has no column price, sold, at, day; it has id, name"),
        (f"{HEADER}1,\xe9,,,,\n".encode("latin-1"), "is no UTF-8"),
        (f'{HEADER}1,"a,,,,\n2,b,,,,\n'.encode(), "is no CSV: unexpected end of data"),
        (b"id,id,name,price,sold,at,day\n", "has more than one column id"),
    ],
)
def test_a_file_that_is_not_of_its_form_is_none(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(Permanent, match=says):
        csv(tmp_path, content)


def test_lines_of_json_are_rows_and_what_is_none_is_refused_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text('{"id": 1, "user": {"name": "a"}}\n\n[1]\n{"id": 2,\n{"id": NaN}\n{"id": 3}\n')
    fields = [Field(COLUMNS[0], "id"), Field(COLUMNS[1], "user.name", optional=True)]
    rows, refused = read(file, Reading("jsonl"), fields)
    assert rows == [{"id": 1, "name": "a"}, {"id": 3, "name": None}]
    assert [each.row_id for each in refused] == [f"line {n} of orders" for n in (3, 4, 5)]


def test_csv_keeps_every_digit_of_a_numeric(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,price\n1,12345678901234567890.123456789\n2,x\n")
    column = Column("price", "numeric", "")
    fields = [Field(Column("id", "bigint", ""), "id"), Field(column, "price")]
    (rows,) = read_file(file, "a.csv", Reading("csv"), fields, lambda _: None)
    assert [row["price"] for row in rows] == [Decimal("12345678901234567890.123456789"), "x"]


def test_parquet_keeps_decimals_cuts_nanoseconds_and_refuses_times_without_a_zone(tmp_path: Path) -> None:
    file = tmp_path / "orders.parquet"
    nanoseconds = [1_767_323_045_999_999_999, 1_767_323_045_000_000_000]
    made = {
        "id": pa.array([1, 2]),
        "name": pa.array(["a", None]),
        "price": pa.array([Decimal("0.10"), None], pa.decimal128(9, 2)),
        "sold": pa.array([True, None]),
        "at": pa.array(nanoseconds, pa.timestamp("ns", "Europe/Berlin")),
        "day": pa.array([date(2026, 1, 2), None]),
        "colour": pa.array(["red", "blue"]),
    }
    pq.write_table(pa.table(made), file)
    rows, refused = read(file, Reading("parquet"))
    assert refused == []
    assert rows[0] == [1, "a", Decimal("0.10"), True, AT.replace(microsecond=999_999), date(2026, 1, 2)]
    assert rows[1] == [2, None, None, None, AT, None]
    pq.write_table(pa.table(made | {"at": pa.array(nanoseconds, pa.timestamp("ns"))}), file)
    rows, refused = read(file, Reading("parquet"))
    assert (rows, [each.reason for each in refused]) == ([], ["is a time without a zone"] * 2)


def test_what_is_no_parquet_or_lacks_a_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "orders.parquet"
    file.write_bytes(b"PAR1 not")
    with pytest.raises(Permanent, match="orders is no Parquet"):
        read(file, Reading("parquet"))
    pq.write_table(pa.table({"id": [1]}), file)
    with pytest.raises(Permanent, match="orders has no column name, price"):
        read(file, Reading("parquet"))
