"""The STAC item of a published batch: where it lies on Earth, and what its files are.

pystac is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane.publishing import Content
from terrane_spatial import antimeridian
from terrane_spatial.publishing.geoparquet import GEOMETRY, Written

if TYPE_CHECKING:
    import pystac

    from terrane_spatial.rasters.cog_writer import Band, Cog

FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROJECTION_EXTENSION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER_EXTENSION = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
TABLE_EXTENSION = "https://stac-extensions.github.io/table/v1.2.0/schema.json"
PARQUET_TYPE = "application/vnd.apache.parquet"
MEDIA_TYPES = {
    ".parquet": (PARQUET_TYPE, "data"),
    ".fgb": ("application/vnd.flatgeobuf", "data"),
    ".pmtiles": ("application/vnd.pmtiles", "visual"),
    ".png": ("image/png", "thumbnail"),
    ".tif": ("image/tiff; application=geotiff; profile=cloud-optimized", "data"),
}
ITEM_FILE, PREVIEW_FILE = "item.json", "preview.png"
INDEX_FOLDER, COLLECTION_FILE, INDEX_FILE = "_index", "collection.json", "items.parquet"
SHA256_MULTIHASH = "1220"
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class About:
    """What an item says of its batch.

    Attributes:
        data_time: what newest goes by, with its zone.
        bounds: west, south, east, north in degrees; west is greater where they cross 180 degrees.
    """

    dataset: str
    batch_id: str
    description: str
    data_time: datetime
    bounds: tuple[float, float, float, float]


def item_json(
    about: About,
    files: Mapping[str, Path | bytes | Content],
    tables: Mapping[str, Written] = NOTHING,
    rasters: Mapping[str, Cog] = NOTHING,
) -> bytes:
    """The item as JSON. Its assets have the same keys in every batch of a dataset, so that an index has few columns.

    Args:
        files: by name, beside which the item will lie; GeoParquet is data, PNG a thumbnail.
        tables: what was written into those files that are tables.
        rasters: what was written into those that are rasters.
    """
    import pystac

    box = antimeridian.wrapped(about.bounds)
    title = f"{about.dataset} {about.batch_id}"
    item = pystac.Item(
        id=about.batch_id,
        geometry=antimeridian.footprint(box),
        bbox=list(box),
        datetime=about.data_time.astimezone(UTC),
        properties={"title": title, "description": about.description, **_one_code(rasters)},
        stac_extensions=[FILE_EXTENSION, PROJECTION_EXTENSION, RASTER_EXTENSION if rasters else TABLE_EXTENSION],
        collection=about.dataset,
    )
    # Below the dataset's folder, the item is in one named for its batch and in it one for its run.
    collection = f"../../{INDEX_FOLDER}/{COLLECTION_FILE}"
    item.add_link(pystac.Link(pystac.RelType.COLLECTION, collection, media_type=pystac.MediaType.JSON))
    keys = asset_keys(files, rasters)
    for name, content in files.items():
        facts = table_fields(tables[name]) if name in tables else {}
        facts |= raster_fields(rasters[name]) if name in rasters else {}
        item.add_asset(keys[name], _asset(name, content, facts))
    return json.dumps(item.to_dict(include_self_link=False), indent=2, ensure_ascii=False).encode()


def asset_keys(files: Iterable[str], rasters: Collection[str]) -> dict[str, str]:
    """The key of each file's asset: its name where that is the same in every batch, and `data`, `data_2` of rasters."""
    numbered = {name: f"data_{number}" if number > 1 else "data" for number, name in enumerate(sorted(rasters), 1)}
    return {name: numbered.get(name, name) for name in files}


def table_fields(table: Written) -> dict[str, Any]:
    """What the table extension says of an asset."""
    return {
        "table:row_count": table.rows,
        "table:primary_geometry": GEOMETRY,
        "table:columns": [{"name": name, "type": kind} for name, kind in table.columns.items()],
    }


def raster_fields(cog: Cog) -> dict[str, Any]:
    """What the projection and raster extensions say of an asset."""
    return {
        "proj:code": _code(cog),
        **({} if cog.epsg else {"proj:wkt2": cog.wkt}),
        "proj:shape": [cog.height, cog.width],
        "proj:transform": list(cog.transform),
        "proj:bbox": list(cog.bounds),
        "raster:bands": [_band(band) for band in cog.bands],
    }


def _band(band: Band) -> dict[str, Any]:
    measured = {
        name: value
        for name in ("minimum", "maximum", "mean", "stddev")
        if (value := getattr(band, name)) is not None and math.isfinite(value)
    }
    nodata = {} if band.nodata is None else {"nodata": band.nodata if math.isfinite(band.nodata) else str(band.nodata)}
    return {
        "data_type": band.dtype,
        **nodata,
        **({"unit": band.unit} if band.unit else {}),
        **({"scale": band.scale} if band.scale != 1 else {}),
        **({"offset": band.offset} if band.offset else {}),
        **({"statistics": measured} if measured else {}),
    }


def _one_code(rasters: Mapping[str, Cog]) -> dict[str, Any]:
    """The item's reference system: degrees for tables, and for rasters that are all in one, that one."""
    codes = {_code(cog) for cog in rasters.values()} or {"EPSG:4326"}
    return {"proj:code": codes.pop()} if len(codes) == 1 else {}


def _code(cog: Cog) -> str | None:
    return f"EPSG:{cog.epsg}" if cog.epsg else None


def _asset(name: str, content: Path | bytes | Content, facts: Mapping[str, Any]) -> pystac.Asset:
    import pystac

    hashed = Content.of(content)
    media_type, role = MEDIA_TYPES[Path(name).suffix]
    fields = {"file:size": hashed.size, "file:checksum": SHA256_MULTIHASH + hashed.sha256, **facts}
    return pystac.Asset(f"./{name}", title=name, media_type=media_type, roles=[role], extra_fields=fields)
