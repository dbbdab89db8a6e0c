"""No column is lost in silence: unknown types, keys, feature ids, names that ours use, and very many columns."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest
from spatial_cases import Load

from terrane_spatial.errors import BatchRejectedError

pytestmark = pytest.mark.integration


def test_10_columns_of_every_declared_type_are_kept(load: Load) -> None:
    case = load("10-column-types.gpkg")
    assert len(case.columns()) == 15
    assert "fid" in case.facts["columns left out"]
    values = dict(
        zip(case.columns(), case.connection.execute("select * from t limit 1").fetchone() or (), strict=False)
    )
    row = case.connection.execute(
        "select c0_character_varying, c2_varchar, c3_decimal::text, c4_bigint::text, c5_int2, c6_uuid::text, c7_json,"
        " c9_double_precision::float, c10, c11_string, c12_time::text, c13_numeric::float from t limit 1"
    ).fetchone()
    assert row == (
        *("x", "y", "1.25", "9007199254740993", 5, "550e8400-e29b-41d4-a716-446655440000", '{"a":1}'),
        *(1.5, "untyped", "s", "10:20:30", 1.1),
    ), values
    assert set(map(str, case.column("c1_timestamp_with_time_zone"))) == {"2020-01-01 10:00:00+02"}


def test_11_numeric_feature_ids_are_kept(load: Load) -> None:
    assert load("11-feature-ids.geojson").column("id") == [9001, 9002]


def test_11_a_primary_key_is_a_column(load: Load) -> None:
    assert load("11-primary-key.gpkg").column("station_id") == [1007, 2007, 3007]


@pytest.mark.parametrize("name", ["36-bbox-column.parquet", "36-bbox-property.geojson"])
def test_36_a_column_named_bbox_is_published_under_another_name(load: Load, name: str) -> None:
    case = load(name)
    assert case.facts["renamed"] == {"bbox": "bbox_2"}
    table = pq.read_table(case.published().path)
    assert {"bbox", "bbox_2"} <= set(table.column_names)
    assert "xmin" in table.column("bbox").to_pylist()[0]
    assert table.column("bbox_2").to_pylist()[0] in ("a tile", '{"xmin": 1.0, "xmax": 1.0, "ymin": 2.0, "ymax": 2.0}')


def test_37_a_table_wider_than_a_page_is_refused_before_it_is_loaded(load: Load) -> None:
    # A row of Postgres has to fit a page of 8 KiB, and numbers cannot be kept elsewhere: 1100 of 8 bytes do not fit.
    with pytest.raises(BatchRejectedError, match=r"1100 columns.* 8160 bytes"):
        load("37-1100-columns.parquet")


KML = """<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{schema}
<Placemark id="p.1"><name>A</name><description>of the placemark</description><ExtendedData>{data}</ExtendedData>
<Point><coordinates>12.5,41.9</coordinates></Point></Placemark></Document></kml>"""
SCHEMA = (
    '<Schema name="S" id="S"><SimpleField type="int" name="ID"/>'
    '<SimpleField type="string" name="description"/></Schema>',
    '<SchemaData schemaUrl="#S"><SimpleData name="ID">32</SimpleData>'
    '<SimpleData name="description">d</SimpleData></SchemaData>',
)
PLAIN = ("", '<Data name="id"><value>7</value></Data><Data name="Name"><value>B</value></Data>')


@pytest.mark.parametrize(
    ("content", "values", "told"),
    [
        (SCHEMA, {"id": "p.1", "id2": 32, "description": "of the placemark", "description2": "d"}, {"ID": "ID2"}),
        (PLAIN, {"id": "p.1", "id2": "7", "name": "A", "name2": "B"}, {"id": "id2", "Name": "Name2"}),
    ],
    ids=["of a schema", "of no schema"],
)
def test_kml_data_named_as_an_element_is_a_column_beside_the_elements_own(
    load: Load, content: tuple[str, str], values: dict[str, Any], told: dict[str, str]
) -> None:
    case = load(KML.format(schema=content[0], data=content[1]).encode())
    assert {name: case.column(name) for name in values} == {name: [value] for name, value in values.items()}
    renamed = case.facts["data named as KML's own elements, and their columns"]
    assert told.items() <= renamed.items()
