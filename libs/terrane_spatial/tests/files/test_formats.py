"""Every format a dataset may declare, as a file of it that GDAL wrote, from the landing zone to a published batch."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyogrio import raw
from spatial_batches import countries
from spatial_platform import Platform

from terrane.publishing import read_commit
from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import BY_NAME, FORMATS, RASTERS, VECTORS, declared
from terrane_spatial.rasters.cog_writer import Wanted, to_cog
from terrane_spatial.runs.stages import load

pytestmark = pytest.mark.integration

POINTS = shapely.to_wkb([shapely.Point(16, 48), shapely.Point(2, 49)])
NAMES = np.array(["Wien", "Orléans"], object)
# GDAL's driver, the name of the file it writes, and what the manifest has to say.
WRITTEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "geopackage": ("GPKG", "places.gpkg", {}),
    "shapefile": ("ESRI Shapefile", "places.shp", {}),
    "flatgeobuf": ("FlatGeobuf", "places.fgb", {}),
    "geojson": ("GeoJSON", "places.geojson", {}),
    "geojsonseq": ("GeoJSONSeq", "places.geojsons", {}),
    "gml": ("GML", "places.gml", {}),
    "kml": ("LIBKML", "places.kml", {}),
    "gpx": ("GPX", "places.gpx", {}),
    "mapinfo": ("MapInfo File", "places.tab", {}),
    "mapinfo-mif": ("MapInfo File", "places.mif", {}),
    "openfilegdb": ("OpenFileGDB", "places.gdb", {}),
    "dxf": ("DXF", "places.dxf", {"crs": "EPSG:4326"}),
    "csv": ("CSV", "places.csv", {"crs": "EPSG:4326"}),
}
TOPOLOGY = {
    "type": "Topology",
    "arcs": [],
    "objects": {
        "places": {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Point", "coordinates": [16, 48], "properties": {"name": "Wien"}},
                {"type": "Point", "coordinates": [2, 49], "properties": {"name": "Orléans"}},
            ],
        }
    },
}


def made(name: str, folder: Path) -> tuple[bytes, dict[str, Any]]:
    """A file of the format with two points, zipped where it is several, and what the manifest says of it."""
    if name == "topojson":
        return json.dumps(TOPOLOGY).encode(), {"crs": "EPSG:4326"}
    if name == "geoparquet":
        import geopandas as gpd

        sink = io.BytesIO()
        gpd.GeoDataFrame({"name": NAMES}, geometry=list(shapely.from_wkb(POINTS)), crs=4326).to_parquet(sink)
        return sink.getvalue(), {}
    driver, file, told = WRITTEN[name]
    path = folder / file
    fields: dict[str, Any] = {"Layer": np.array(["0", "0"], object)} if name == "dxf" else {"name": NAMES}
    options: dict[str, Any] = {"layer_options": {"GEOMETRY": "AS_XY"}} if name == "csv" else {}
    if name == "gpx":
        options["layer"] = "waypoints"
    raw.write(
        path,
        POINTS,
        list(fields.values()),
        list(fields),
        driver=driver,
        geometry_type="Point",
        crs="EPSG:4326",
        **options,
    )
    if name not in ("shapefile", "mapinfo", "mapinfo-mif", "openfilegdb"):
        return path.read_bytes(), told
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for part in sorted(path.rglob("*") if path.is_dir() else folder.glob("places.*")):
            archive.write(part, part.relative_to(folder))
    return sink.getvalue(), told


@pytest.mark.parametrize("name", VECTORS)
def test_a_file_of_every_format_is_known_by_its_content_and_loaded(
    platform: Platform, tmp_path: Path, name: str
) -> None:
    """Under a name that says nothing, so that only content decides."""
    from terrane_spatial.runs import run_schema

    content, told = made(name, tmp_path)
    contents = {"countries.geojson": countries(), "places.dat": content}
    files = platform.put("first", contents)["files"]
    files[1].update(told)
    platform.put("first", contents, files=files)
    assert platform.requests()
    work = work_on(platform, "first")
    load(work)
    with run_schema.connect(platform.compute, work.run_id) as connection:
        points = connection.execute("select st_astext(geometry, 4) from places order by 1").fetchall()
        facts = run_schema.loads(connection)["places"]
    assert points == [("POINT(16 48)",), ("POINT(2 49)",)]
    assert facts["driver"] in (BY_NAME[name].driver, BY_NAME[name].title)
    assert (facts["rows"], facts["srid"]) == (2, 4326)


def work_on(platform: Platform, batch_id: str, run_id: str = "run-1") -> Any:
    """The work of a run on a batch of the sample dataset, without Dagster around it."""
    from terrane_spatial.runs.work import Dataset, Work

    dataset = Dataset("places", "", ("countries", "places"), (), ("countries", "places"))
    return Work(dataset, batch_id, run_id, platform.compute, platform.store, platform.ledger)


def test_a_whole_batch_of_other_formats_is_published(platform: Platform, tmp_path: Path) -> None:
    content, _ = made("flatgeobuf", tmp_path)
    platform.put("fgb", {"countries.geojson": countries(), "places.bin": content})
    assert platform.run_next().success
    commit = read_commit(platform.lake, "places", "fgb")
    assert commit.summary["rows"]["places"] == 2
    assert commit.summary["loads"]["places"]["driver"] == "FlatGeobuf"


@pytest.mark.unit
def test_a_dataset_declares_its_formats_by_name() -> None:
    assert [f.name for f in declared(["geojson", "csv"])] == ["geojson", "csv"]
    with pytest.raises(ValueError, match=r"there is no format geojsn; expected some of geopackage, shapefile"):
        declared(["geojsn"])


@pytest.mark.unit
def test_names_and_suffixes_tell_formats_apart() -> None:
    assert len({f.suffix for f in FORMATS}) == len({f.name for f in FORMATS}) == len(FORMATS)


@pytest.mark.unit
@pytest.mark.parametrize("name", RASTERS)
def test_a_raster_of_every_format_is_known_by_its_content_and_converted(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "object").write_bytes(made_raster(name, tmp_path))
    path = unpack(folder / "object", "heights", "b/heights", declared(RASTERS))
    assert path.suffix == BY_NAME[name].suffix
    cog = to_cog(path, "b/heights", tmp_path / "heights.tif", Wanted("EPSG:4326"))
    assert (cog.driver, cog.width, cog.height, cog.epsg) == (BY_NAME[name].driver, 40, 30, 4326)
    assert [round(edge, 6) for edge in cog.bounds] == [10.0, 47.7, 10.4, 48.0]


def made_raster(name: str, folder: Path) -> bytes:
    """A raster of 40 x 30 pixels in degrees, zipped with its world file where it has one."""
    import rasterio
    import rasterio.shutil
    from rasterio.transform import from_origin

    values = np.arange(1200, dtype="uint8" if name == "png" else "uint16").reshape(1, 30, 40)
    path = folder / f"heights{BY_NAME[name].suffix}"
    profile: dict[str, Any] = {"driver": "GTiff", "width": 40, "height": 30, "count": 1, "dtype": values.dtype}
    with rasterio.open(
        folder / "source.tif", "w", crs="EPSG:4326", transform=from_origin(10, 48, 0.01, 0.01), **profile
    ) as sink:
        sink.write(values)
    options = {"WORLDFILE": "YES"} if name == "png" else {}
    rasterio.shutil.copy(folder / "source.tif", path, driver=BY_NAME[name].driver, **options)
    if name != "png":
        return path.read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for part in (path, path.with_suffix(".wld")):
            opened.write(part, part.name)
    return archive.getvalue()


@pytest.mark.unit
def test_a_format_that_the_dataset_does_not_take_is_refused_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(b'{"type": "FeatureCollection", "features": []}')
    with pytest.raises(BatchRejectedError) as caught:
        unpack(tmp_path / "object", "places", "b/places.gpkg", declared(["geopackage", "csv"]))
    assert str(caught.value) == (
        "b/places.gpkg: its content is GeoJSON, which this dataset does not take; "
        "taken are GeoPackage, CSV with coordinates"
    )
