"""GeoPackages, which are databases: with views that compute, tables that live elsewhere, and names that are SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyogrio import raw

from terrane_spatial.sandbox.protocol import Limits

pytestmark = pytest.mark.unit

ENDLESS = (
    "with recursive n(i) as (select 1 union all select i + 1 from n) select i as fid, (select geom from p) geom from n"
)


def geopackage(path: Path, *statements: str, layer: str = "p", field: str = "name") -> bytes:
    """A GeoPackage of one point, then changed by statements that no honest writer makes."""
    point = shapely.to_wkb([shapely.Point(1, 2)])
    options: dict[str, Any] = {"layer": "p", "driver": "GPKG", "geometry_type": "Point", "crs": "EPSG:4326"}
    raw.write(path, point, [np.array(["a"], object)], [field], layer_options={"SPATIAL_INDEX": "NO"}, **options)
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
        if layer != "p":
            for trigger in ("insert", "delete"):
                connection.execute(f"drop trigger if exists trigger_{trigger}_feature_count_p")
            connection.execute("alter table p rename to " + '"' + layer.replace('"', '""') + '"')
            for table in ("gpkg_contents", "gpkg_geometry_columns", "gpkg_ogr_contents"):
                connection.execute(f"update {table} set table_name = ?", [layer])
    connection.close()
    return path.read_bytes()


def view(select: str) -> list[str]:
    """The layer `p` replaced by a view of that query."""
    return [
        "drop trigger if exists trigger_insert_feature_count_p",
        "drop trigger if exists trigger_delete_feature_count_p",
        f"create view v as {select}",
        "delete from gpkg_ogr_contents",
        "insert into gpkg_contents (table_name, data_type, identifier, srs_id) values ('v', 'features', 'v', 4326)",
        "insert into gpkg_geometry_columns values ('v', 'geom', 'POINT', 4326, 0, 0)",
    ]


def test_a_view_without_end_is_given_up(attack: Callable[..., Any], tmp_path: Path) -> None:
    content = geopackage(tmp_path / "x.gpkg", *view(ENDLESS))
    said = attack(content, layer="v", limits=Limits(wall_s=20, cpu_s=5, memory_bytes=2 << 30)).refused
    assert "took longer" in said or "ended by signal" in said or "far more than a file of its size" in said


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize(
    "call",
    [
        "load_extension('{folder}/secret.bin')",
        "readfile('{secret}')",
        "writefile('{folder}/written', 'x')",
        "gdal_get_pixel_value('{secret}', 1, 'georef', 0, 0)",
        "ogr_geocode('x', 'geometry', '{url}')",
        "ogr_datasource_load_layers('{secret}')",
        "ImportSHP('{folder}/secret', 't', 'utf-8')",
        "BlobFromFile('{secret}')",
        "fts3_tokenizer('x', x'41414141')",
    ],
)
def test_a_view_calls_nothing_that_reads_writes_or_connects(
    attack: Callable[..., Any], canary: Any, tmp_path: Path, call: str
) -> None:
    made = call.format(folder=canary.folder, secret=canary.secret, url=canary.url)
    attack(geopackage(tmp_path / "x.gpkg", *view(f"select fid, geom, {made} as told from p")), layer="v")


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize(
    "module",
    ["VirtualOGR('{secret}')", "VirtualText('{secret}')", "csv(filename='{secret}')", "VirtualShape('{secret}')"],
)
def test_a_table_that_lives_in_another_file_is_not_opened(
    attack: Callable[..., Any], canary: Any, tmp_path: Path, module: str
) -> None:
    table = f"create virtual table elsewhere using {module.format(secret=canary.secret)}".replace("'", "''")
    content = geopackage(
        tmp_path / "x.gpkg",
        "pragma writable_schema = on",
        f"insert into sqlite_master values ('table', 'elsewhere', 'elsewhere', 0, '{table}')",
        "insert into gpkg_contents (table_name, data_type, identifier) values ('elsewhere', 'attributes', 'e')",
    )
    for layer in ("p", "elsewhere", None):
        attack(content, layer=layer)


def test_names_of_layers_that_are_sql_or_do_not_print_are_names(attack: Callable[..., Any], tmp_path: Path) -> None:
    for number, name in enumerate(
        ('x"; drop table _loads; --', "a'b", "tab\there\x1b[2J", "../../etc/passwd", "CSV:x")
    ):
        content = geopackage(tmp_path / f"{number}.gpkg", layer=name)
        assert "'a'" in attack(content, layer=name).read
        assert "its layers are" in attack(content, layer="other").refused


def test_a_database_that_is_damaged_is_refused_and_no_more(attack: Callable[..., Any], tmp_path: Path) -> None:
    content = bytearray(geopackage(tmp_path / "x.gpkg"))
    content[100:8192:7] = b"\xff" * len(content[100:8192:7])
    assert attack(bytes(content)).refused
    assert attack(bytes(content[:5000])).refused
