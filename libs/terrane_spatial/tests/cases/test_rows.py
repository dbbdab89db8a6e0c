"""No row is lost in silence: what is cut, unreadable or elsewhere is refused, rejected with its reason, or read."""

from __future__ import annotations

import pytest
from spatial_cases import Load

from terrane_spatial.errors import BatchRejectedError

pytestmark = pytest.mark.integration


def test_01_a_file_that_ends_before_the_rows_it_counts_is_refused(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match=r"500"):
        load("01-truncated.fgb")


def test_03_a_record_that_is_no_json_is_refused_and_named(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="record 2"):
        load("03-broken-record.geojsons")


def test_04_a_quote_that_is_never_closed_is_refused(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="quote"):
        load("04-unclosed-quote.csv", crs="EPSG:4326")


def test_04_quotes_within_a_name_are_text(load: Load) -> None:
    case = load("04-lone-quotes.tsv", crs="EPSG:4326")
    assert case.column("name", "geonameid::int") == [
        *("Place A", 'Ile de l" Union', "Place C", 'Place "D"'),
        *('"Le Bourg', "Place F", 'Place G" x', "Place H"),
    ]
    assert case.column("st_x(geometry)", "geonameid::int")[4] == 12.9
    assert case.column("pop", "geonameid::int") == ["10", "20", "30", "40", "50", "60", "70", "80"]


def test_06_shapes_without_a_record_are_kept_with_nulls(load: Load) -> None:
    case = load("06-fewer-dbf-records.zip")
    assert case.loaded.rows == 3
    assert case.column("n", "n nulls last") == [1, 2, None]
    assert case.column("st_isempty(geometry)") == [False] * 3
    assert "records" in case.told


def test_07_coordinates_that_are_no_decimals_reject_their_row(load: Load) -> None:
    case = load("07-gpx-coordinates.gpx")
    assert case.column("name") == ["good"]
    assert case.column("st_astext(geometry)") == ["POINT(12.5 41.9)"]
    assert case.rejected == 2


def test_08_what_is_committed_in_the_write_ahead_log_is_part_of_the_database(load: Load) -> None:
    case = load("08-gpkg-with-wal.zip")
    assert case.loaded.rows == 4
    assert "edited" in {value for name in case.columns() for value in case.column(f"{name}::text")}


def test_24_a_geometry_that_cannot_be_read_rejects_its_row(load: Load) -> None:
    case = load("24-unreadable-geometry.geojson")
    assert case.column("a") == [1, 9]
    assert case.rejected == 8
    assert case.facts.get("null geometries", 0) + case.facts.get("empty geometries", 0) == 1


@pytest.mark.parametrize(
    ("name", "crs", "kept", "rejected"),
    [
        ("24-unreadable-wkt.csv", "EPSG:4326", ["A"], 3),
        ("24-one-row-in-degrees-minutes.csv", "EPSG:4326", ["A", "C"], 1),
    ],
)
def test_24_coordinates_that_are_none_reject_their_row(
    load: Load, name: str, crs: str, kept: list[str], rejected: int
) -> None:
    case = load(name, crs=crs)
    assert case.column("name") == kept
    assert case.rejected == rejected
    assert "null geometries" not in case.facts


def test_24_a_blob_that_is_no_geometry_rejects_its_row(load: Load) -> None:
    case = load("24-unreadable-blob.gpkg")
    assert case.column("s") == ["x", "y"]
    assert case.rejected == 1
    # The second row's blob says EPSG:3857, and its table EPSG:4326.
    assert "3857" in case.told


def test_24_a_file_whose_only_geometry_cannot_be_read_is_refused_with_the_reason(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="every row .* geometry that cannot be read"):
        load("24-point-called-multipolygon.geojson")


def test_23_coordinates_that_may_be_thousands_are_refused(load: Load) -> None:
    with pytest.raises(BatchRejectedError, match="530,034"):
        load("23-thousands.csv", crs="EPSG:27700")
