"""No value is changed in silence: numbers, dates, flags, lists and text are what the file holds."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow.parquet as pq
import pytest
from spatial_cases import Load

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.publishing import extra_formats

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("name", "column", "texts"),
    [
        ("13-dates.zip", "d", {"20200230", "20201301", "2020-1-5", "20200229"}),
        ("13-dates.gpkg", "t", {"2020-02-30", "01/02/2020", "2020-13-01"}),
        ("13-datetimes-empty.gpkg", "t", {"", "2018-02-13T23:59:59.000Z", "0000-00-00T00:00:00Z"}),
        ("13-dates.geojson", "identifier", {"3000-02-31", "9000-01-01"}),
    ],
)
def test_13_what_is_no_date_stays_text_and_is_told(load: Load, name: str, column: str, texts: set[str]) -> None:
    case = load(name)
    assert set(case.column(column)) == texts
    assert name.endswith(".geojson") or column in case.told


def test_15_numbers_of_gml_are_what_they_are_written(load: Load) -> None:
    case = load("15-gml-numbers.gml")
    assert set(map(str, case.column("big"))) == {"12345678901234567890", "5"}
    assert set(case.column("ph")) == {"+4930123", "+49301234"}
    assert set(case.column("ver")) == {"1.20", "1.2"}
    assert set(case.column("zip")) == {"01234", "00501"}
    assert set(case.column("comma")) == {"1,5", "2,5"}
    assert set(map(str, case.column("d"))) == {"2020-01-01", "2020-02-30"}
    assert [float(v) for v in case.column("exp", "exp::float")] == [1e5, 2e10]


def test_16_numbers_of_dbase_are_what_they_are_written(load: Load) -> None:
    case = load("16-dbf-numbers.zip")
    assert set(map(str, case.column("n20"))) == {"9007199254740993", "12345678901234567891"}
    assert set(map(str, case.column("comma"))) in ({"12.50", "1234.50"}, {"12,50", "1.234,50"})
    assert case.column("l", "l nulls last") == [True, None]


def test_17_an_empty_number_is_null(load: Load) -> None:
    case = load("17-kml-empty-int.kml")
    assert case.column("i::int", "name") == [5, None]
    assert case.column("zip", "name") == ["01234", None]
    assert case.column("s::int", "name") == [70000, None]
    assert case.column("u::bigint", "name") == [4294967295, None]


def test_20_microseconds_are_kept_in_every_export(load: Load) -> None:
    case = load("20-microseconds.geojson")
    assert case.column("t") == [dt.datetime(2020, 1, 1, 10, 0, 0, 123456, dt.UTC)]
    written = case.published()
    assert pq.read_table(written.path).column("t").to_pylist() == [dt.datetime(2020, 1, 1, 10, 0, 0, 123456, dt.UTC)]
    copy = extra_formats.write("flatgeobuf", written, "t")
    assert "2020-01-01T10:00:00.123456" in copy.read_bytes().decode("latin-1")


def test_22_lists_keep_the_types_of_what_they_hold(load: Load) -> None:
    case = load("22-lists.geojson")
    assert [json.loads(text) for text in case.column("e", "e")] == [7, ["a"], [1, 2]]


def test_39_nested_values_are_json(load: Load) -> None:
    case = load("39-nested.parquet")
    assert [json.loads(text) for text in case.column("lnan")] == [[None, 1.0]]
    assert [json.loads(text) for text in case.column("lbin")] in ([["/w=="]], [["ff"]])
    assert case.column("dur")[0] in ("P1DT5S", "1 day 00:00:05", "86405 s", "PT86405S")


def test_19_text_without_an_encoding_is_refused(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="encoding"):
        load("19-no-encoding-told.zip")
    assert "Москва" in load("19-no-encoding-told.zip", encoding="windows-1251").column("name")


def test_19_what_the_cpg_says_decides(load: Load) -> None:
    case = load("19-cpg-oem-866.zip")
    assert set(case.column("name")) == {"Москва", "Ёлка", "Тверь"}
    arabic = load("19-cpg-720.zip")
    assert set(arabic.column("name")) == {
        bytes.fromhex(letters).decode("cp720") for letters in ("9fe9e7", "a4a7", "eae8")
    }


def test_38_half_a_letter_at_the_end_of_a_name_is_left_out(load: Load) -> None:
    case = load("38-field-name-cut.zip")
    assert case.columns() == ["bevolkeru", "aaaa"]
    assert case.column("bevolkeru") == ["a", "b", "c"]


def test_38_utf_16_is_refused_in_words(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="UTF-16"):
        load("38-utf16.csv", crs="EPSG:4326")
