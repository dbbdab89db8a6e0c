"""Makes the sample batch from Natural Earth, as packed in the wheel of geopandas 0.14.4.

    pip download --no-deps geopandas==0.14.4
    python make_samples.py geopandas-0.14.4-py3-none-any.whl

Attributes and geometry are taken as they are. The files come out the same, byte for byte, with the same GDAL: archive
times and the GeoPackage's last change are set to the data's own date.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from pathlib import Path

import pyogrio

FOLDER = Path(__file__).parent
WITHIN = "geopandas/datasets"
COUNTRIES, PLACES = "naturalearth_lowres", "naturalearth_cities"
SUFFIXES = ("shp", "shx", "dbf", "prj", "cpg")
DATA_DATE = (2022, 12, 10, 0, 0, 0)
DATA_TIME = "2022-12-10T00:00:00.000Z"


def main(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for name in (COUNTRIES, PLACES):
            for suffix in SUFFIXES:
                (Path(folder) / f"{name}.{suffix}").write_bytes(archive.read(f"{WITHIN}/{name}/{name}.{suffix}"))
        make_countries(Path(folder) / f"{COUNTRIES}.shp", FOLDER / "countries.gpkg")
        make_places(Path(folder), FOLDER / "places.zip")
        make_names(Path(folder) / f"{PLACES}.shp", FOLDER / "places.txt")


def make_countries(source: Path, target: Path) -> None:
    """Writes the polygons as a GeoPackage of one layer, without the source's field widths."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": DATA_TIME})
    target.unlink(missing_ok=True)
    with pyogrio.open_arrow(source, use_pyarrow=True) as (meta, reader):
        table = reader.read_all()
    pyogrio.write_arrow(
        table,
        target,
        layer="countries",
        driver="GPKG",
        geometry_name=meta["geometry_name"] or "wkb_geometry",
        geometry_type="Unknown",
        crs=meta["crs"],
        layer_options={"GEOMETRY_NAME": "geom"},
    )


def make_places(folder: Path, target: Path) -> None:
    """Packs the shapefile of points, its bytes unchanged, under the name `places`."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for suffix in SUFFIXES:
            member = zipfile.ZipInfo(f"places.{suffix}", DATA_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, (folder / f"{PLACES}.{suffix}").read_bytes())


def make_names(source: Path, target: Path) -> None:
    """Writes the distinct names of places, one a line, in the order of their code points."""
    with pyogrio.open_arrow(source, use_pyarrow=True, read_geometry=False) as (_, reader):
        names = {name.strip() for name in reader.read_all().column("name").to_pylist() if name and name.strip()}
    target.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.path.isfile(sys.argv[1]):
        sys.exit("Give the path of geopandas-0.14.4-py3-none-any.whl: pip download --no-deps geopandas==0.14.4")
    main(Path(sys.argv[1]))
