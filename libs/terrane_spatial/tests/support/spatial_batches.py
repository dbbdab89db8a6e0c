"""Batches made for tests: files of every kind of good and bad content, as bytes."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]
BOW_TIE = [[[20, 0], [30, 10], [30, 0], [20, 10], [20, 0]]]
COUNTRY = {"name": "Squareland", "iso_a3": "SQL", "continent": "Test", "pop_est": 1.5}


def feature(geometry: dict[str, Any] | None, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def point(x: float, y: float, **properties: Any) -> dict[str, Any]:
    return feature({"type": "Point", "coordinates": [x, y]}, **properties)


def polygon(rings: list[Any], **properties: Any) -> dict[str, Any]:
    return feature({"type": "Polygon", "coordinates": rings}, **(COUNTRY | properties))


def collection(features: Iterable[dict[str, Any]]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


def countries(*features: dict[str, Any]) -> bytes:
    return collection(features or [polygon(SQUARE)])


def places(*features: dict[str, Any]) -> bytes:
    return collection(features or [point(5, 5, name="Middle")])


def geojson_batch(**files: bytes) -> dict[str, bytes]:
    """`countries.geojson` and `places.geojson`, good ones unless they are given."""
    made = {"countries": countries(), "places": places()} | files
    return {f"{name}.geojson": content for name, content in made.items()}


def frame(content: bytes, **options: Any) -> Any:
    """GeoParquet, or part of it, as geopandas reads it."""
    import geopandas as gpd

    source: Any = io.BytesIO(content)
    return gpd.read_parquet(source, **options)


def shapefile(crs: str | None, names: list[str], encoding: str = "UTF-8", cpg: bool = True) -> bytes:
    """A zipped shapefile of points on the diagonal, with that text in its .dbf."""
    import geopandas as gpd
    from shapely.geometry import Point

    frame = gpd.GeoDataFrame({"name": names}, geometry=[Point(i, i) for i in range(len(names))], crs=crs)
    with tempfile.TemporaryDirectory() as folder:
        frame.to_file(Path(folder) / "places.shp", encoding=encoding, engine="pyogrio")
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                if cpg or path.suffix != ".cpg":
                    archive.write(path, path.name)
    return sink.getvalue()
