"""Names of tables and columns, from names of files and fields."""

from __future__ import annotations

import pytest

from terrane_spatial.identifiers import launder, launder_all

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "laundered"),
    [
        ("Name", "name"),
        ("Größe (m²)", "grosse_m2"),
        ("2024 pop", "c_2024_pop"),
        ("名前", "column"),
        ('a"; drop table x; --', "a_drop_table_x"),
        ("_ogc_fid_", "ogc_fid"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_name_becomes_plain(name: str, laundered: str) -> None:
    assert launder(name, "column") == laundered


def test_names_that_would_be_the_same_get_numbers_and_reserved_names_are_left() -> None:
    names = ["Name", "NAME", "name_2", "Geometry", "xmin", "x" * 70, "x" * 71]
    made = launder_all(names, {"geometry"})
    assert made == {
        "Name": "name",
        "NAME": "name_2",
        "name_2": "name_2_2",
        "Geometry": "geometry_2",
        "xmin": "xmin_2",
        "x" * 70: "x" * 63,
        "x" * 71: "x" * 61 + "_2",
    }
