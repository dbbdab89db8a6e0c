"""The STAC item of a published batch: where it lies on Earth, and what its files are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatial.geoparquet import GEOMETRY, Written

if TYPE_CHECKING:
    import pystac

FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROJECTION_EXTENSION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
TABLE_EXTENSION = "https://stac-extensions.github.io/table/v1.2.0/schema.json"
PARQUET_TYPE = "application/vnd.apache.parquet"
MEDIA_TYPES = {
    ".parquet": (PARQUET_TYPE, "data"),
    ".fgb": ("application/vnd.flatgeobuf", "data"),
    ".pmtiles": ("application/vnd.pmtiles", "visual"),
    ".png": ("image/png", "thumbnail"),
}
ITEM_FILE, INDEX_FOLDER, COLLECTION_FILE, INDEX_FILE = "item.json", "_index", "collection.json", "items.parquet"
SHA256_MULTIHASH = "1220"


def item_json(
    dataset: str,
    batch_id: str,
    description: str,
    made_at: datetime,
    bounds: tuple[float, float, float, float],
    files: Mapping[str, Path | bytes],
    tables: Mapping[str, Written],
) -> bytes:
    """The item as JSON.

    Args:
        bounds: xmin, ymin, xmax, ymax in degrees.
        files: by name, beside which the item will lie; GeoParquet is data, PNG a thumbnail.
        tables: what was written into those files that are tables.
    """
    import pystac

    xmin, ymin, xmax, ymax = bounds
    ring = [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax], [xmin, ymin]]
    item = pystac.Item(
        id=batch_id,
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=[xmin, ymin, xmax, ymax],
        datetime=made_at,
        properties={"title": f"{dataset} {batch_id}", "description": description, "proj:code": "EPSG:4326"},
        stac_extensions=[FILE_EXTENSION, PROJECTION_EXTENSION, TABLE_EXTENSION],
        collection=dataset,
    )
    # Below the dataset's folder, the item is in one named for its batch and in it one for its run.
    collection = f"../../{INDEX_FOLDER}/{COLLECTION_FILE}"
    item.add_link(pystac.Link(pystac.RelType.COLLECTION, collection, media_type=pystac.MediaType.JSON))
    for name, content in files.items():
        item.add_asset(name, _asset(name, content, tables.get(name)))
    return json.dumps(item.to_dict(include_self_link=False), indent=2, ensure_ascii=False).encode()


def _asset(name: str, content: Path | bytes, table: Written | None) -> pystac.Asset:
    import pystac

    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    media_type, role = MEDIA_TYPES[Path(name).suffix]
    fields: dict[str, Any] = {"file:size": size, "file:checksum": SHA256_MULTIHASH + _sha256(content)}
    if table:
        fields["table:row_count"] = table.rows
        fields["table:primary_geometry"] = GEOMETRY
        fields["table:columns"] = [{"name": name, "type": kind} for name, kind in table.columns.items()]
    return pystac.Asset(f"./{name}", media_type=media_type, roles=[role], extra_fields=fields)


def _sha256(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
